// A series as a stack of frames, and the segmentations over it. Pixels are fetched frame by frame, when they are looked at.
import { frame, getAt, path, search } from "./api";
import { type Dataset, items, numbers, text, whoOf, withPatient } from "./dicom";
import { type Plane, type Turn, NO_TURN, dot, planeOf, scrollOf, turnOf } from "./geometry";
import { type Format, type Picture, type Rescale, type Window, decode, refusal } from "./pixels";

export interface Slice {
    instance: string; // its WADO-RS path
    uid: string;
    frame: number; // from 1
    order: number; // as the scanner counts
    format: Format;
    rescale: Rescale;
    window: Window | null; // its own
    plane: Plane | null;
    position: number[] | null; // of the first pixel
    turn: Turn;
    aspect: number; // width to height of one stored pixel
    edges: string[]; // Patient Orientation, where there is no plane: of rows and of columns
}

export interface Stack {
    slices: Slice[];
    who: string; // whose they are (whoOf): of one patient only
    patient: Dataset; // the patient, and the study
    modality: string;
    bodyPart: string;
}

function instancePath(dataset: Dataset): string {
    return path("dicom-web", "studies", text(dataset, "0020000D"), "series", text(dataset, "0020000E"), "instances", text(dataset, "00080018"));
}

function formatOf(dataset: Dataset, syntax: string): Format {
    const number = (tag: string, absent: number) => numbers(dataset, tag)[0] ?? absent;
    const allocated = number("00280100", 16);
    const stored = number("00280101", allocated);
    return {
        rows: number("00280010", 0),
        columns: number("00280011", 0),
        samples: number("00280002", 1),
        allocated,
        stored,
        highBit: number("00280102", stored - 1),
        signed: number("00280103", 0) === 1,
        float: !!(dataset["7FE00008"] ?? dataset["7FE00009"]),
        planar: number("00280006", 0) === 1,
        photometric: text(dataset, "00280004"),
        syntax,
    };
}

// A pixel's width to its height; Pixel Spacing gives the height first.
function aspectOf(spacing: number[], ratio: number[]): number {
    const [height = ratio[0] ?? 1, width = ratio[1] ?? 1] = spacing;
    return width > 0 && height > 0 ? width / height : 1;
}

// The frames of one instance. Enhanced objects tell geometry and rescale by functional groups, shared or per frame (PS3.3 C.7.6.16).
function slicesOf(dataset: Dataset, syntax: string): Slice[] {
    const format = formatOf(dataset, syntax);
    const shared = items(dataset, "52009229")[0];
    const groups = items(dataset, "52009230");
    const count = Math.max(1, numbers(dataset, "00280008")[0] ?? 1);
    return Array.from({ length: count }, (_, i) => {
        const macro = (sequence: string, tag: string) => {
            const within = (group: Dataset | undefined) => items(group, sequence).find((item) => item[tag]);
            return numbers(within(groups[i]) ?? within(shared) ?? dataset, tag);
        };
        const plane = planeOf(macro("00209116", "00200037"));
        const position = macro("00209113", "00200032");
        const [centre, width] = [macro("00289132", "00281050")[0], macro("00289132", "00281051")[0]];
        const spacing = macro("00289110", "00280030");
        return {
            instance: instancePath(dataset),
            uid: text(dataset, "00080018"),
            frame: i + 1,
            order: numbers(dataset, "00200013")[0] ?? 0,
            format,
            rescale: { slope: macro("00289145", "00281053")[0] ?? 1, intercept: macro("00289145", "00281052")[0] ?? 0 },
            window: centre !== undefined && width !== undefined && width >= 1 ? { centre, width } : null,
            plane,
            position: position.length === 3 ? position : null,
            turn: plane ? turnOf(plane) : NO_TURN,
            aspect: aspectOf(spacing.length === 2 ? spacing : numbers(dataset, "00181164"), numbers(dataset, "00280034")),
            edges: (dataset["00200020"]?.Value ?? []).map(String),
        };
    });
}

function parallel(a: Plane, b: Plane): boolean {
    return dot(a.right, b.right) > 0.999 && dot(a.down, b.down) > 0.999;
}

// Along the body when all lie side by side, else as the scanner counted.
function sort(slices: Slice[]): Slice[] {
    const first = slices[0]?.plane;
    const counted = (a: Slice, b: Slice) => a.order - b.order || a.frame - b.frame;
    if (!first || !slices.every((slice) => slice.plane && slice.position && parallel(slice.plane, first))) return slices.sort(counted);
    const scroll = scrollOf(first);
    return slices.sort((a, b) => dot(a.position!, scroll) - dot(b.position!, scroll) || counted(a, b));
}

function stackOf(who: string, images: Dataset[], rows: Map<string, Dataset>): Stack {
    const row = (image: Dataset) => rows.get(text(image, "00080018"))!;
    const slices = sort(images.flatMap((image) => slicesOf(image, text(row(image), "00083002"))));
    const first = images[0]!;
    return { slices, who, patient: withPatient(row(first), first), modality: text(first, "00080060"), bodyPart: text(first, "00180015") };
}

const ASKED_AT_ONCE = 6;

// One answer tells of all images, or of none when one cannot be read: then each is asked, and how many say nothing is told.
async function datasetsOf(at: string, found: Dataset[]): Promise<{ images: Dataset[]; lost: string }> {
    try {
        return { images: await getAt<Dataset[]>(`${at}/metadata`), lost: "" };
    } catch (why) {
        const images: Dataset[] = [];
        for (let i = 0; i < found.length; i += ASKED_AT_ONCE) {
            const some = found.slice(i, i + ASKED_AT_ONCE).map((one) => getAt<Dataset[]>(`${instancePath(one)}/metadata`));
            for (const answer of await Promise.allSettled(some)) if (answer.status === "fulfilled") images.push(...answer.value);
        }
        if (images.length === 0) throw why;
        const count = found.length - images.length;
        return { images, lost: count > 0 ? `${count} of the ${found.length} images of this series cannot be read and are missing here: ${(why as Error).message}` : "" };
    }
}

// Of a series a stack for each patient, for one UID may be that of two patients' series. The search says of each instance whose
// it is, and in what transfer syntax, which tells what colours its frames have.
// `lost` says which images are missing, or "".
export async function loadStacks(study: string, series: string): Promise<{ stacks: Stack[]; lost: string }> {
    const at = path("dicom-web", "studies", study, "series", series);
    const found = await search(`${at}/instances`);
    const { images: all, lost } = await datasetsOf(at, found);
    const rows = new Map(found.map((row) => [text(row, "00080018"), row]));
    const groups = new Map<string, Dataset[]>();
    for (const image of all) {
        const row = rows.get(text(image, "00080018"));
        if (!row || !image["00280010"]) continue; // what came between the two answers comes with the next reading
        const who = whoOf(row, image);
        groups.set(who, [...(groups.get(who) ?? []), image]);
    }
    return { stacks: [...groups].map(([who, images]) => stackOf(who, images, rows)), lost };
}

export async function loadPicture(slice: Slice): Promise<Picture> {
    const why = refusal(slice.format);
    if (why) throw new Error(why);
    return decode(await frame(slice.instance, slice.frame), slice.format);
}

// The slice that a point of the patient is nearest to; -1: the stack has no places.
export function sliceAt(stack: Stack, point: readonly number[]): number {
    let best = -1;
    let least = Infinity;
    stack.slices.forEach((slice, i) => {
        if (!slice.plane || !slice.position) return;
        const scroll = scrollOf(slice.plane);
        const distance = Math.abs(dot(slice.position, scroll) - dot(point, scroll));
        if (distance < least) [best, least] = [i, distance];
    });
    return best;
}

// By slice of the stack, the frames of segmentations that lie on it, pixel on pixel, and what was rejected of them.
export interface Mask {
    frames: Map<number, { instance: string; frame: number; finding: number }[]>;
    rejected: number[];
}

const ON_PIXEL_MM = 0.05;

function liesOn(slice: Slice, frame: Slice): boolean {
    const apart = frame.position && slice.position ? frame.position.map((value, i) => value - slice.position![i]!) : null;
    return (
        !!apart &&
        Math.hypot(...apart) < ON_PIXEL_MM &&
        !!slice.plane &&
        !!frame.plane &&
        parallel(slice.plane, frame.plane) &&
        slice.format.rows === frame.format.rows &&
        slice.format.columns === frame.format.columns
    );
}

// What of a segmentation is shown: of a segment that a reader has rejected the place alone.
export interface Shown {
    seg: string;
    segments: { segment: number; finding: number; isRejected: boolean }[]; // finding: its number on the page, from 1
}

function segmentOf(dataset: Dataset | undefined, frame: number): number {
    const groups = items(dataset, "52009230")[frame - 1];
    return numbers(items(groups, "0062000A")[0], "0062000B")[0] ?? 0;
}

// Adds one SEG's frames; false when some lie on no slice: such a mask would be drawn in the wrong place, so it is not drawn.
async function addMask(mask: Mask, stack: Stack, study: string, { seg, segments }: Shown): Promise<boolean> {
    const [found] = await getAt<Dataset[]>(`${path("dicom-web", "studies", study, "instances")}?SOPInstanceUID=${encodeURIComponent(seg)}`);
    if (!found) throw new Error("the segmentation is not stored yet");
    const [dataset] = await getAt<Dataset[]>(`${instancePath(found)}/metadata`);
    if (!dataset || whoOf(found, dataset) !== stack.who) throw new Error("a segmentation is of another patient than these slices, so its mask is not shown");
    const frames = slicesOf(dataset, "");
    const places = frames.map((frame) => stack.slices.findIndex((slice) => liesOn(slice, frame)));
    if (places.includes(-1)) return false;
    frames.forEach(({ instance, frame }, i) => {
        const own = segments.find(({ segment }) => segment === segmentOf(dataset, frame));
        if (own) mask.frames.set(places[i]!, [...(mask.frames.get(places[i]!) ?? []), { instance, frame, finding: own.finding }]);
    });
    return true;
}

export async function loadMask(stack: Stack, study: string, shown: Shown[]): Promise<Mask> {
    const rejected = shown.flatMap(({ segments }) => segments.filter(({ isRejected }) => isRejected).map(({ finding }) => finding));
    const mask: Mask = { frames: new Map(), rejected };
    for (const one of shown)
        if (!(await addMask(mask, stack, study, one))) throw new Error("a segmentation does not lie on these slices, so its mask is not shown");
    return mask;
}

// For each pixel the number of the finding that it is of, 0 for none. Where two lie on each other the chosen one is on top.
export async function loadMaskSlice(mask: Mask, index: number, area: number, chosen: number): Promise<Uint16Array | null> {
    const wanted = mask.frames.get(index);
    if (!wanted) return null;
    const out = new Uint16Array(area);
    for (const { instance, frame: number, finding } of [...wanted].sort((a, b) => Number(a.finding === chosen) - Number(b.finding === chosen))) {
        const bits = await frame(instance, number);
        for (let i = 0; i < area; i++) if (((bits[i >> 3] ?? 0) >> (i & 7)) & 1) out[i] = finding;
    }
    return out;
}
