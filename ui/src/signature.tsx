// Whose word it is: of who is logged in, or of the name that is typed where nobody logs in, which is said to be unverified.
import type { Signer } from "./session";
import { t } from "./texts";

export function Signature({ signer, verified, typed }: { signer: Signer; verified: string; typed: string }) {
    return signer.isVerified ? (
        <p class="name">
            {verified} <bdi class="verified">{signer.shown}</bdi>
        </p>
    ) : (
        <label class="name">
            {typed} <input value={signer.name} maxLength={128} autocomplete="name" onInput={(event) => signer.type(event.currentTarget.value)} /> <small>{t.notVerified}</small>
        </label>
    );
}
