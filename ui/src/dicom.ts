// DICOM JSON (PS3.18 Annex F), and how its values are shown.

export type Dataset = Record<string, { vr: string; Value?: unknown[] }>;

export function text(dataset: Dataset | undefined, tag: string): string {
    const value = dataset?.[tag]?.Value?.[0];
    if (value === undefined || value === null) return "";
    if (typeof value !== "object") return String(value);
    const name = value as { Alphabetic?: string; Ideographic?: string };
    return [name.Alphabetic ?? "", name.Ideographic ?? ""].join("=");
}

export function numbers(dataset: Dataset | undefined, tag: string): number[] {
    return (dataset?.[tag]?.Value ?? []).map(Number);
}

export function items(dataset: Dataset | undefined, tag: string): Dataset[] {
    return (dataset?.[tag]?.Value ?? []) as Dataset[];
}

function nameGroup(group: string): string {
    const [family = "", given = "", middle = "", prefix = "", suffix = ""] = group.split("^").map((part) => part.trim());
    const forenames = [prefix, given, middle].filter(Boolean).join(" ");
    return [family, forenames, suffix].filter(Boolean).join(", ");
}

// "Yamada^Tarou=山田^太郎": family name first, in letters and as it is written.
export function personName(value: string): string {
    const [letters = "", written = ""] = value.split("=").map(nameGroup);
    if (letters && written) return `${letters} (${written})`;
    return letters || written || "(no name)";
}

export function date(value: string): string {
    return /^\d{8}$/.test(value) ? `${value.slice(0, 4)}-${value.slice(4, 6)}-${value.slice(6)}` : value;
}
