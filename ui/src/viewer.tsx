// One slice at a time: scrolled by wheel, keys, drag or slider; windowed; the mask over it; the patient's directions at its edges.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { displayed, letters, negate } from "./geometry";
import { type Label, type Marks, type Picture, type Window, fullWindow, labelsOf, paint } from "./pixels";
import { type Mask, type Slice, type Stack, loadMaskSlice, loadPicture } from "./volume";

const CT_PRESETS: Record<string, Window> = {
    Brain: { centre: 40, width: 80 },
    Blood: { centre: 75, width: 215 },
    Stroke: { centre: 40, width: 40 },
    Bone: { centre: 500, width: 2000 },
    Soft: { centre: 50, width: 400 },
    Lung: { centre: -600, width: 1500 },
};
const PICTURES_BYTES_MAX = 200 << 20;
const WHEEL_STEP = 40; // a notch of a wheel is about 100, a touch pad sends many small ones
const DRAG_STEP_PX = 5;
const LABEL_MAX = 0.95; // of the width: a finding's number is in the picture

// The pictures looked at last, and those on their way.
class Pictures {
    private known = new Map<Slice, Promise<Picture>>();

    get(slice: Slice): Promise<Picture> {
        const picture = this.known.get(slice) ?? loadPicture(slice);
        this.known.delete(slice);
        this.known.set(slice, picture); // the newest is the last
        picture.catch(() => this.known.delete(slice));
        const bytes = slice.format.rows * slice.format.columns * Math.max(1, slice.format.allocated / 8) * slice.format.samples;
        while (this.known.size > 3 && this.known.size * bytes > PICTURES_BYTES_MAX) this.known.delete(this.known.keys().next().value!);
        return picture;
    }
}

// The letters at the left, right, top and bottom of the screen.
function edges(slice: Slice): [string, string, string, string] {
    if (slice.plane) {
        const { right, down } = displayed(slice.plane, slice.turn);
        return [letters(negate(right)), letters(right), letters(negate(down)), letters(down)];
    }
    const opposite = (text: string) => [...text].map((letter) => ({ L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" })[letter] ?? "").join("");
    const [right = "", down = ""] = slice.edges;
    return [opposite(right), right, opposite(down), down];
}

// Width to height of the picture on the screen.
function shapeOf({ format, turn, aspect }: Slice): number {
    const stored = (format.columns * aspect) / format.rows;
    return turn.transpose ? 1 / stored : stored;
}

// Keys that belong to a field; a slider or a box to tick takes none of ours.
export function isTyping(target: EventTarget | null): boolean {
    if (target instanceof HTMLInputElement) return target.type !== "range" && target.type !== "checkbox";
    return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function presetsOf(stack: Stack): Record<string, Window> {
    const grey = stack.slices[0]?.format.samples === 1;
    return stack.modality === "CT" && grey ? CT_PRESETS : {};
}

const OWN = "Image"; // the window that the image itself names, else all of its values

interface Props {
    stack: Stack;
    mask: Mask | null;
    chosen: number; // the finding that is looked at, by its number on the page; 0: none
    slice: number;
    onSlice: (change: (slice: number) => number) => void;
    head: boolean; // a head: the brain's window first
}

export function Viewer({ stack, mask, chosen, slice, onSlice, head }: Props) {
    const canvas = useRef<HTMLCanvasElement>(null);
    const pictures = useMemo(() => new Pictures(), [stack]);
    const presets = useMemo(() => presetsOf(stack), [stack]);
    const [preset, setPreset] = useState("Brain" in presets && head ? "Brain" : OWN);
    const [window, setWindow] = useState<Window | null>(null); // drawn by hand; else the preset's
    const [overlay, setOverlay] = useState(true);
    const [shown, setShown] = useState<{ slice: Slice; index: number; window: Window; marks: Marks | null; labels: Label[] } | null>(null);
    const [error, setError] = useState<{ slice: Slice; message: string } | null>(null);
    const [maskError, setMaskError] = useState("");
    const wheel = useRef(0);

    const last = stack.slices.length - 1;
    const step = (by: number) => onSlice((now) => Math.max(0, Math.min(last, now + by)));
    const choose = (name: string) => {
        setPreset(name);
        setWindow(null);
    };
    const names = [...Object.keys(presets), OWN];
    const now = stack.slices[slice];

    useEffect(() => {
        let current = true;
        const at = stack.slices[slice];
        if (!at) return;
        const marked = mask && overlay ? loadMaskSlice(mask, slice, at.format.rows * at.format.columns, chosen).catch((why: Error) => why) : null;
        Promise.all([pictures.get(at), marked])
            .then(([picture, loaded]) => {
                if (!current || !canvas.current) return;
                const marks = loaded && !(loaded instanceof Error) ? { mask: loaded, chosen, rejected: mask?.rejected ?? [] } : null;
                setMaskError(loaded instanceof Error ? loaded.message : "");
                const used = window ?? presets[preset] ?? at.window ?? (picture.grey ? fullWindow(picture.grey, at.rescale) : { centre: 128, width: 256 });
                paint(canvas.current, at.format, picture, at.turn, at.rescale, used, marks);
                setShown({ slice: at, index: slice, window: used, marks, labels: marks ? labelsOf(marks.mask, at.format, at.turn) : [] });
                setError(null);
                for (const near of [1, -1, 2]) {
                    const neighbour = stack.slices[slice + near];
                    if (neighbour) pictures.get(neighbour).catch(() => {}); // told when it is looked at
                }
            })
            .catch((why: Error) => {
                if (!current || !canvas.current) return;
                canvas.current.width = canvas.current.height = 1; // never another slice's picture under this one's number
                setShown(null);
                setError({ slice: at, message: why.message });
            });
        return () => {
            current = false;
        };
    }, [stack, mask, chosen, slice, preset, window, overlay]);

    useEffect(() => {
        const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -last, End: last };
        const onKey = (event: KeyboardEvent) => {
            if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
            const by = moves[event.key];
            const name = names[Number(event.key) - 1];
            if (by !== undefined) step(by);
            else if (event.key === "m") setOverlay((on) => !on);
            else if (name) choose(name);
            else return;
            event.preventDefault();
        };
        addEventListener("keydown", onKey);
        return () => removeEventListener("keydown", onKey);
    }, [stack]);

    // The left button scrolls, the right one sets the window: sideways its width, up and down its centre.
    const onDrag = (event: PointerEvent) => {
        const target = event.currentTarget as HTMLElement;
        const windowing = event.button === 2 || event.shiftKey;
        const from = { x: event.clientX, y: event.clientY, slice, window: shown?.window };
        target.setPointerCapture(event.pointerId);
        const move = (to: PointerEvent) => {
            const [dx, dy] = [to.clientX - from.x, to.clientY - from.y];
            if (!windowing) onSlice(() => Math.max(0, Math.min(last, from.slice + Math.round(dy / DRAG_STEP_PX))));
            else if (from.window) {
                const grain = Math.max(1, from.window.width / 200);
                setWindow({ centre: from.window.centre + dy * grain, width: Math.max(1, from.window.width + dx * grain) });
            }
        };
        target.addEventListener("pointermove", move);
        target.addEventListener("lostpointercapture", () => target.removeEventListener("pointermove", move), { once: true });
    };

    const shape = shown ? shapeOf(shown.slice) : 1;
    const box = { width: shape >= 1 ? "100%" : `${shape * 100}%`, height: shape >= 1 ? `${100 / shape}%` : "100%" };
    const [left, right, top, bottom] = shown ? edges(shown.slice) : ["", "", "", ""];
    const wrong = error && error.slice === now ? error.message : "";
    return (
        <div class="viewer">
            <div class="tools" role="toolbar" aria-label="Image">
                {names.map((name, i) => (
                    <button key={name} class={name === preset && !window ? "on" : ""} aria-pressed={name === preset && !window} title={`Key ${i + 1}`} onClick={() => choose(name)}>
                        {name}
                    </button>
                ))}
                {mask && (
                    <label title="Key M">
                        <input type="checkbox" checked={overlay} onChange={() => setOverlay(!overlay)} /> mask
                    </label>
                )}
            </div>
            <div class="room">
                <div class="stage">
                    <canvas
                        ref={canvas}
                        style={box}
                        data-slice={shown ? shown.index : -1}
                        data-instance={shown ? shown.slice.uid : ""}
                        data-masked={shown && shown.labels.length > 0}
                        tabIndex={0}
                        role="img"
                        aria-label={`Slice ${slice + 1} of ${stack.slices.length}`}
                        onWheel={(event) => {
                            event.preventDefault();
                            wheel.current += event.deltaY;
                            const by = Math.trunc(wheel.current / WHEEL_STEP);
                            wheel.current = by ? 0 : wheel.current;
                            step(Math.sign(by));
                        }}
                        onPointerDown={onDrag}
                        onContextMenu={(event) => event.preventDefault()}
                    />
                    <div class="labels" style={box}>
                        {shown?.labels.map(({ finding, x, y }) => (
                            <span key={finding} class={`number ${finding === shown.marks?.chosen ? "chosen" : ""} ${shown.marks?.rejected.includes(finding) ? "rejected" : ""}`} style={{ left: `${Math.min(x, LABEL_MAX) * 100}%`, top: `${y * 100}%` }}>
                                {finding}
                            </span>
                        ))}
                    </div>
                    <span class="edge left">{left}</span>
                    <span class="edge right">{right}</span>
                    <span class="edge top">{top}</span>
                    <span class="edge bottom">{bottom}</span>
                    {shown && shown.slice === now && (
                        <span class="window">
                            C {Math.round(shown.window.centre)} W {Math.round(shown.window.width)}
                        </span>
                    )}
                    {wrong && (
                        <p class="error" role="alert">
                            Image {slice + 1} cannot be shown: {wrong}
                        </p>
                    )}
                    {!wrong && shown?.slice !== now && <p class="loading">Loading image {slice + 1} ...</p>}
                </div>
            </div>
            <div class="scroll">
                <input type="range" aria-label="Slice" min={0} max={last} value={slice} onInput={(event) => onSlice(() => Number(event.currentTarget.value))} />
                <span>
                    {slice + 1} / {stack.slices.length}
                </span>
            </div>
            {maskError && (
                <p class="error" role="alert">
                    The mask cannot be shown: {maskError}
                </p>
            )}
            <p class="help">Scroll: wheel, arrow keys, drag. Window: right drag{names.length > 1 && `, keys 1 to ${names.length}`}. M mask, F next finding, Esc list.</p>
        </div>
    );
}
