// The page's words in the reader's language, where there is a table for it; else in English.
import { type Texts, en } from "./texts/en";

const LANGUAGES: Record<string, Texts> = { en };

const wanted = navigator.language.split("-")[0] ?? "";
export const language = wanted in LANGUAGES ? wanted : "en";
export const t: Texts = LANGUAGES[language] ?? en;
export type { Texts };
