// A series of slices as a stack, and the segmentation over it. Pixels are fetched slice by slice, when they are looked at.
import { type Dataset, frame, get, items, numbers, text } from "./api";

export interface Slice {
    instance: string; // its WADO-RS path
    position: number[];
    along: number; // its place along the normal, mm
    slope: number;
    intercept: number;
    signed: boolean;
}

export interface Stack {
    rows: number;
    columns: number;
    normal: number[];
    slices: Slice[];
}

function cross(o: number[]): number[] {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = o;
    return [b * f - c * e, c * d - a * f, a * e - b * d];
}

export function dot(a: number[], b: number[]): number {
    return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function instancePath(dataset: Dataset): string {
    return `/dicom-web/studies/${text(dataset, "0020000D")}/series/${text(dataset, "0020000E")}/instances/${text(dataset, "00080018")}`;
}

export async function loadStack(seriesPath: string): Promise<Stack | null> {
    const all = await get<Dataset[]>(`${seriesPath}/metadata`);
    const first = all.find((dataset) => dataset["00280010"]);
    if (!first) return null;
    const normal = cross(numbers(first, "00200037"));
    const slices = all
        .filter((dataset) => text(dataset, "00280010") === text(first, "00280010") && text(dataset, "00280011") === text(first, "00280011"))
        .map((dataset, order) => {
            const position = numbers(dataset, "00200032");
            return {
                instance: instancePath(dataset),
                position,
                along: position.length === 3 ? dot(position, normal) : order,
                slope: numbers(dataset, "00281053")[0] ?? 1,
                intercept: numbers(dataset, "00281052")[0] ?? 0,
                signed: text(dataset, "00280103") === "1",
            };
        })
        .sort((a, b) => b.along - a.along); // the head's top first, as people read it
    return { rows: numbers(first, "00280010")[0] ?? 0, columns: numbers(first, "00280011")[0] ?? 0, normal, slices };
}

// 16-bit stored values to HU.
export async function loadPixels(slice: Slice): Promise<Float32Array> {
    const bytes = await frame(slice.instance, 1);
    const stored = slice.signed ? new Int16Array(bytes.buffer, 0, bytes.length >> 1) : new Uint16Array(bytes.buffer, 0, bytes.length >> 1);
    return Float32Array.from(stored, (value) => value * slice.slope + slice.intercept);
}

export interface Mask {
    // by slice index of the stack: the frames that lie on it
    frames: Map<number, { number: number; segment: number }[]>;
    instance: string;
    area: number;
}

function nearest(stack: Stack, position: number[]): number {
    const along = dot(position, stack.normal);
    let best = 0;
    stack.slices.forEach((slice, i) => {
        if (Math.abs(slice.along - along) < Math.abs((stack.slices[best]?.along ?? 0) - along)) best = i;
    });
    return best;
}

export function sliceAt(stack: Stack, point: number[]): number {
    return nearest(stack, point);
}

export async function loadMask(stack: Stack, study: string, seg: string): Promise<Mask | null> {
    const found = await get<Dataset[]>(`/dicom-web/studies/${study}/instances?SOPInstanceUID=${seg}`);
    if (!found[0]) return null;
    const instance = instancePath(found[0]);
    const [dataset] = await get<Dataset[]>(`${instance}/metadata`);
    const frames: Mask["frames"] = new Map();
    items(dataset, "52009230").forEach((group, i) => {
        const position = numbers(items(group, "00209113")[0] ?? {}, "00200032");
        const segment = numbers(items(group, "0062000A")[0] ?? {}, "0062000B")[0] ?? 0;
        const slice = nearest(stack, position);
        frames.set(slice, [...(frames.get(slice) ?? []), { number: i + 1, segment }]);
    });
    return { frames, instance, area: stack.rows * stack.columns };
}

// One byte a pixel: 1 where any segment is.
export async function loadMaskSlice(mask: Mask, slice: number): Promise<Uint8Array | null> {
    const wanted = mask.frames.get(slice);
    if (!wanted) return null;
    const out = new Uint8Array(mask.area);
    for (const { number } of wanted) {
        const bits = await frame(mask.instance, number);
        for (let i = 0; i < mask.area; i++) out[i]! |= ((bits[i >> 3] ?? 0) >> (i & 7)) & 1;
    }
    return out;
}
