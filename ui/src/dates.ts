// How every date on the page is written: year, month, day, and 24 hours of the reader's own clock, in every language alike.

const two = (number: number) => String(number).padStart(2, "0");

// DICOM's DA ("20261128") is a day, an instant of the API is a day and a time. What is neither is left as it came.
export function date(value: string | Date | null): string {
    if (!value) return "";
    if (typeof value === "string" && /^\d{8}$/.test(value)) return `${value.slice(0, 4)}-${value.slice(4, 6)}-${value.slice(6)}`;
    const at = new Date(value);
    if (typeof value === "string" && (!value.includes("T") || Number.isNaN(at.getTime()))) return value;
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

// To the second.
export function moment(value: string): string {
    const at = new Date(value);
    return Number.isNaN(at.getTime()) ? value : `${date(value)}:${two(at.getSeconds())}`;
}

// What somebody types as this page writes it, "2026-11-28" or "2026-11-28 13:05", as an instant of the API; null: it is none.
export function instant(typed: string): string | null {
    const [, day, time = "00:00"] = /^\s*(\d{4}-\d\d-\d\d)(?:[ T]+(\d\d:\d\d(?::\d\d)?))?\s*$/.exec(typed) ?? [];
    const at = new Date(`${day}T${time}`);
    return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

// How long something lasts.
export function span(seconds: number): string {
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
    return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
