// From a frame's bytes to grey values or colours.
import { type Turn } from "./geometry";

export interface Format {
    rows: number;
    columns: number;
    samples: number;
    allocated: number; // bits
    stored: number;
    highBit: number;
    signed: boolean;
    float: boolean;
    planar: boolean;
    photometric: string;
    syntax: string; // transfer syntax; known where the colour depends on it
}

export type Values = Uint8Array | Int32Array | Float32Array | Int16Array | Uint16Array;

// Grey: stored values, one a pixel. Colour: RGB, three a pixel.
export interface Picture {
    grey: Values | null;
    rgb: Uint8Array | null;
}

// Why an image of this format is not shown; "" when it is.
export function refusal(format: Format): string {
    const colour = format.samples === 3;
    if (format.photometric === "PALETTE COLOR") return "palette colour images are not shown here yet";
    if (format.samples !== 1 && !colour) return `images of ${format.samples} samples a pixel are not shown here`;
    if (colour && format.allocated !== 8) return `colour images of ${format.allocated} bits are not shown here yet`;
    if (!format.float && ![1, 8, 16, 32].includes(format.allocated)) return `images of ${format.allocated} bits a sample are not shown here`;
    return "";
}

// Only the stored bits count: overlays and scanners' notes may lie above them.
function greyValues(bytes: Uint8Array, format: Format): Values {
    const area = format.rows * format.columns;
    if (format.float) return format.allocated === 64 ? Float32Array.from(new Float64Array(bytes.buffer, 0, area)) : new Float32Array(bytes.buffer, 0, area);
    if (format.allocated === 1) return Uint8Array.from({ length: area }, (_, i) => ((bytes[i >> 3] ?? 0) >> (i & 7)) & 1);
    const raw =
        format.allocated === 8 ? bytes : format.allocated === 16 ? new Uint16Array(bytes.buffer, 0, area) : new Uint32Array(bytes.buffer, 0, area);
    const up = 31 - format.highBit;
    const down = 32 - format.stored;
    if (format.allocated === 32 && !format.signed) return Float32Array.from(raw, (value) => (value << up) >>> down);
    const out = format.allocated === 32 ? new Int32Array(area) : format.signed ? new Int16Array(area) : new Uint16Array(area);
    for (let i = 0; i < area; i++) out[i] = format.signed ? (raw[i]! << up) >> down : (raw[i]! << up) >>> down;
    return out;
}

const JPEG = new Set(["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"]);

// What arrives as YBR: the server's decoder gives out JPEG's and JPEG 2000's colours as RGB already.
function isYbr(format: Format): boolean {
    return format.photometric.startsWith("YBR_FULL") && !JPEG.has(format.syntax);
}

function toRgb(y: number, b: number, r: number, out: Uint8Array, at: number): void {
    const clamp = (value: number) => Math.max(0, Math.min(255, Math.round(value)));
    out[at] = clamp(y + 1.402 * (r - 128));
    out[at + 1] = clamp(y - 0.344136 * (b - 128) - 0.714136 * (r - 128));
    out[at + 2] = clamp(y + 1.772 * (b - 128));
}

// Native YBR_FULL_422: Y Y Cb Cr for two pixels.
function rgbOf422(bytes: Uint8Array, area: number): Uint8Array {
    const out = new Uint8Array(area * 3);
    for (let i = 0; i < area; i++) {
        const pair = (i >> 1) * 4;
        toRgb(bytes[pair + (i & 1)]!, bytes[pair + 2]!, bytes[pair + 3]!, out, i * 3);
    }
    return out;
}

function rgbValues(bytes: Uint8Array, format: Format): Uint8Array {
    const area = format.rows * format.columns;
    if (bytes.length === area * 2) return rgbOf422(bytes, area);
    const native = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"].includes(format.syntax);
    const planar = format.planar && native; // the decoder interleaves
    const [pixel, plane] = planar ? [1, area] : [3, 1];
    const ybr = isYbr(format);
    const out = new Uint8Array(area * 3);
    for (let i = 0; i < area; i++) {
        const [a, b, c] = [bytes[i * pixel]!, bytes[i * pixel + plane]!, bytes[i * pixel + 2 * plane]!];
        if (ybr) toRgb(a, b, c, out, i * 3);
        else out.set([a, b, c], i * 3);
    }
    return out;
}

function expectedBytes(format: Format): number {
    const samples = format.rows * format.columns * format.samples;
    return format.allocated === 1 ? Math.ceil(samples / 8) : (samples * format.allocated) / 8;
}

export function decode(bytes: Uint8Array, format: Format): Picture {
    const wanted = expectedBytes(format);
    const halved = format.photometric === "YBR_FULL_422" && bytes.length === (wanted * 2) / 3;
    if (bytes.length < wanted && !halved) throw new Error(`the frame has ${bytes.length} bytes; ${wanted} were expected`);
    return format.samples === 3 ? { grey: null, rgb: rgbValues(bytes, format) } : { grey: greyValues(bytes, format), rgb: null };
}

export interface Window {
    centre: number;
    width: number;
}

export interface Rescale {
    slope: number;
    intercept: number;
}

// The window that shows all there is.
export function fullWindow(values: Values, rescale: Rescale): Window {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
    }
    if (!Number.isFinite(low) || !Number.isFinite(high)) return { centre: 128, width: 256 };
    const ends = [low, high].map((value) => value * rescale.slope + rescale.intercept) as [number, number];
    return { centre: (ends[0] + ends[1] + 1) / 2, width: Math.max(2, Math.abs(ends[1] - ends[0]) + 1) };
}

// PS3.3 C.11.2.1.2.1: the linear window.
function greyOf(value: number, window: Window): number {
    return ((value - (window.centre - 0.5)) / Math.max(1, window.width - 1) + 0.5) * 255;
}

const MASK_SHARE = 0.4; // of the marking's colour over what is under it
const CHOSEN = [255, 0, 0]; // the finding that is looked at; style.css has both colours too
const OTHER = [0, 144, 255];

// A mask's pixels are the numbers of findings, 0 for none; what was rejected is not coloured.
export interface Marks {
    mask: Uint16Array;
    chosen: number;
    rejected: number[];
}

function sizeOf(format: Format, turn: Turn): [number, number] {
    return turn.transpose ? [format.rows, format.columns] : [format.columns, format.rows];
}

// Where a pixel of the display is stored.
function storedAt(x: number, y: number, format: Format, turn: Turn): number {
    const [width, height] = sizeOf(format, turn);
    const a = turn.flipX ? width - 1 - x : x;
    const b = turn.flipY ? height - 1 - y : y;
    return turn.transpose ? a * format.columns + b : b * format.columns + a;
}

export interface Label {
    finding: number;
    x: number; // shares of the display's width and height: the right upper corner of what is marked
    y: number;
}

export function labelsOf(mask: Uint16Array, format: Format, turn: Turn): Label[] {
    const [width, height] = sizeOf(format, turn);
    const labels = new Map<number, Label>();
    for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
            const finding = mask[storedAt(x, y, format, turn)];
            if (!finding) continue;
            const label = labels.get(finding) ?? { finding, x: 0, y: y / height };
            label.x = Math.max(label.x, (x + 1) / width);
            labels.set(finding, label);
        }
    }
    return [...labels.values()];
}

// Turned, windowed, marked; one pass over the pixels of the display.
export function paint(canvas: HTMLCanvasElement, format: Format, picture: Picture, turn: Turn, rescale: Rescale, window: Window, marks: Marks | null): void {
    const [width, height] = sizeOf(format, turn);
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser cannot draw");
    const image = context.createImageData(width, height);
    const invert = format.photometric === "MONOCHROME1";
    const keep = 1 - MASK_SHARE;
    let to = 0;
    for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, to += 4) {
            const from = storedAt(x, y, format, turn);
            const finding = marks?.mask[from];
            const colour = !finding || marks?.rejected.includes(finding) ? null : finding === marks?.chosen ? CHOSEN : OTHER;
            const grey = picture.grey ? Math.max(0, Math.min(255, greyOf(picture.grey[from]! * rescale.slope + rescale.intercept, window))) : 0;
            for (let k = 0; k < 3; k++) {
                const level = picture.rgb ? picture.rgb[from * 3 + k]! : invert ? 255 - grey : grey;
                image.data[to + k] = colour ? level * keep + colour[k]! * MASK_SHARE : level;
            }
            image.data[to + 3] = 255;
        }
    }
    context.putImageData(image, 0, 0);
}
