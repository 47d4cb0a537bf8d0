// Slices to scroll, window presets, the mask over them.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Mask, type Stack, loadMaskSlice, loadPixels } from "./volume";

const PRESETS = { Brain: [40, 80], Blood: [60, 120], Subdural: [75, 215], Bone: [500, 2000] } as const;
type Preset = keyof typeof PRESETS;

function paint(canvas: HTMLCanvasElement, stack: Stack, hu: Float32Array, mask: Uint8Array | null, preset: Preset): void {
    const context = canvas.getContext("2d");
    if (!context) return;
    const image = context.createImageData(stack.columns, stack.rows);
    const [centre, width] = PRESETS[preset];
    const low = centre - width / 2;
    for (let i = 0; i < hu.length; i++) {
        const grey = Math.max(0, Math.min(255, ((hu[i]! - low) / width) * 255));
        const marked = mask?.[i] === 1;
        image.data[i * 4] = marked ? grey * 0.6 + 102 : grey;
        image.data[i * 4 + 1] = marked ? grey * 0.6 : grey;
        image.data[i * 4 + 2] = marked ? grey * 0.6 : grey;
        image.data[i * 4 + 3] = 255;
    }
    context.putImageData(image, 0, 0);
}

export function Viewer({ stack, mask, slice, onSlice }: { stack: Stack; mask: Mask | null; slice: number; onSlice: (slice: number) => void }) {
    const canvas = useRef<HTMLCanvasElement>(null);
    const pixels = useRef(new Map<number, Promise<Float32Array>>());
    const [preset, setPreset] = useState<Preset>("Brain");
    const [overlay, setOverlay] = useState(true);
    const [shown, setShown] = useState(-1);
    const [error, setError] = useState("");

    const fetchSlice = (index: number): Promise<Float32Array> | null => {
        const wanted = stack.slices[index];
        if (!wanted) return null;
        const known = pixels.current.get(index) ?? loadPixels(wanted);
        pixels.current.set(index, known);
        return known;
    };

    useEffect(() => {
        let current = true;
        const hu = fetchSlice(slice);
        Promise.all([hu, mask && overlay ? loadMaskSlice(mask, slice) : null])
            .then(([values, marks]) => {
                if (!current || !values || !canvas.current) return;
                paint(canvas.current, stack, values, marks, preset);
                setShown(slice);
                setError("");
                fetchSlice(slice + 1);
                fetchSlice(slice - 1);
            })
            .catch((why: Error) => {
                pixels.current.delete(slice);
                if (current) setError(why.message);
            });
        return () => {
            current = false;
        };
    }, [stack, mask, slice, preset, overlay]);

    const step = (by: number) => onSlice(Math.max(0, Math.min(stack.slices.length - 1, slice + by)));
    return (
        <div class="viewer">
            <div class="tools" role="toolbar" aria-label="Image">
                {(Object.keys(PRESETS) as Preset[]).map((name) => (
                    <button key={name} class={name === preset ? "on" : ""} aria-pressed={name === preset} onClick={() => setPreset(name)}>
                        {name}
                    </button>
                ))}
                <label>
                    <input type="checkbox" checked={overlay} onChange={() => setOverlay(!overlay)} /> mask
                </label>
            </div>
            <canvas
                ref={canvas}
                width={stack.columns}
                height={stack.rows}
                data-slice={shown}
                tabIndex={0}
                aria-label={`Slice ${slice + 1} of ${stack.slices.length}`}
                onWheel={(event) => {
                    event.preventDefault();
                    step(event.deltaY > 0 ? 1 : -1);
                }}
                onKeyDown={(event) => {
                    if (event.key === "ArrowDown") step(1);
                    if (event.key === "ArrowUp") step(-1);
                }}
            />
            <div class="scroll">
                <input
                    type="range"
                    aria-label="Slice"
                    min={0}
                    max={stack.slices.length - 1}
                    value={slice}
                    onInput={(event) => onSlice(Number(event.currentTarget.value))}
                />
                <span>
                    {slice + 1} / {stack.slices.length}
                </span>
            </div>
            {error && <p class="error">{error}</p>}
        </div>
    );
}
