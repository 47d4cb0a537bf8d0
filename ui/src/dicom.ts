// DICOM JSON (PS3.18 Annex F), and how its values are shown.
import { date } from "./dates";

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

function letters(name: string): string {
    return name.toUpperCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

// Whose an object is, for never putting two patients together: Patient ID, its issuer, and the name, since an ID without issuer
// may be two people's. `row` is the object's line of a search, which knows the issuer of those that do not say it.
export function whoOf(row: Dataset, object: Dataset): string {
    return JSON.stringify([text(row, "00100020"), text(object, "00100021") || text(row, "00100021"), letters(text(object, "00100010").split("=")[0]!)]);
}

// The row with what the object itself says of its patient.
export function withPatient(row: Dataset, object: Dataset): Dataset {
    const own = ["00100010", "00100021", "00100030", "00100040"].filter((tag) => text(object, tag));
    return { ...row, ...Object.fromEntries(own.map((tag) => [tag, object[tag]!])) };
}

const NOT_IMAGES = new Set(["SR", "SEG", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "REG", "AU", "ECG", "HD"]);

export function isImages(modality: string): boolean {
    return !NOT_IMAGES.has(modality);
}

// "CT\\SEG\\SR" is a CT; what has no images says what it has.
export function modalities(list: string): string {
    const all = list.split("\\");
    const images = all.filter(isImages);
    return (images.length > 0 ? images : all).join(", ");
}

// "P1 of SITE"
export function idOf(dataset: Dataset | undefined): string {
    const [id, issuer] = [text(dataset, "00100020"), text(dataset, "00100021")];
    return (id || "not given") + (id && issuer && ` of ${issuer}`);
}

// "Doe, John (ID P1 of SITE, born 1950-05-05)"
export function patientName(dataset: Dataset): string {
    const born = date(text(dataset, "00100030"));
    const facts = [`ID ${idOf(dataset)}`, born ? `born ${born}` : "birth date not given"];
    return `${personName(text(dataset, "00100010"))} (${facts.join(", ")})`;
}
