// Places and directions in patient space (LPS: x to the patient's left, y to the back, z to the head), and how an image is turned to be read.

export type Vector = readonly number[];

export interface Plane {
    right: Vector; // along a row, the way columns count
    down: Vector; // along a column, the way rows count
}

// How the display differs from what is stored: first transposed, then mirrored.
export interface Turn {
    transpose: boolean;
    flipX: boolean;
    flipY: boolean;
}

export const NO_TURN: Turn = { transpose: false, flipX: false, flipY: false };

export function dot(a: Vector, b: Vector): number {
    return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

export function cross(a: Vector, b: Vector): number[] {
    const [ax = 0, ay = 0, az = 0] = a;
    const [bx = 0, by = 0, bz = 0] = b;
    return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}

export function negate(a: Vector): number[] {
    return a.map((value) => -value);
}

// Image Orientation (Patient), when it is one.
export function planeOf(cosines: Vector): Plane | null {
    const plane = { right: cosines.slice(0, 3), down: cosines.slice(3, 6) };
    const unit = (a: Vector) => Math.abs(dot(a, a) - 1) < 0.02;
    return cosines.length === 6 && unit(plane.right) && unit(plane.down) && Math.abs(dot(plane.right, plane.down)) < 0.02 ? plane : null;
}

// The axis that the plane's normal is nearest to: 0 sagittal, 1 coronal, 2 axial.
function kind(plane: Plane): number {
    const normal = cross(plane.right, plane.down).map(Math.abs);
    return normal.indexOf(Math.max(...normal));
}

// The radiologist's convention: the patient's right at the left of the screen and the front up in axial slices, the head up in the others, the face to the left in sagittal ones.
const CONVENTION: readonly Plane[] = [
    { right: [0, 1, 0], down: [0, 0, -1] },
    { right: [1, 0, 0], down: [0, 0, -1] },
    { right: [1, 0, 0], down: [0, 1, 0] },
];

// The way a stack is scrolled: from right to left, from front to back, from the head down.
const SCROLL: readonly Vector[] = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, -1],
];

export function turnOf(plane: Plane): Turn {
    const wanted = CONVENTION[kind(plane)]!;
    const transpose = Math.abs(dot(plane.right, wanted.right)) < Math.abs(dot(plane.right, wanted.down));
    const [x, y] = transpose ? [plane.down, plane.right] : [plane.right, plane.down];
    return { transpose, flipX: dot(x, wanted.right) < 0, flipY: dot(y, wanted.down) < 0 };
}

// The normal, towards the end of the stack.
export function scrollOf(plane: Plane): Vector {
    const normal = cross(plane.right, plane.down);
    return dot(normal, SCROLL[kind(plane)]!) < 0 ? negate(normal) : normal;
}

// The plane as it is on the screen.
export function displayed(plane: Plane, turn: Turn): Plane {
    const [right, down] = turn.transpose ? [plane.down, plane.right] : [plane.right, plane.down];
    return { right: turn.flipX ? negate(right) : right, down: turn.flipY ? negate(down) : down };
}

// The letters of a direction, the nearest axis first; a second one when it leans there by more than 20 degrees.
export function letters(direction: Vector): string {
    const names = ["LR", "PA", "HF"];
    return direction
        .map((value, axis) => ({ size: Math.abs(value), letter: names[axis]?.[value < 0 ? 1 : 0] ?? "" }))
        .filter(({ size }) => size > 0.35)
        .sort((a, b) => b.size - a.size)
        .map(({ letter }) => letter)
        .slice(0, 2)
        .join("");
}
