// The door: by password, by a provider, or by the code of the first administrator.
import { useEffect, useState } from "preact/hooks";
import { type LoginWays, get } from "./api";
import { type Elsewhere, logIn, logInFirst, remember } from "./session";
import { t } from "./texts";

function useWays(): { ways: LoginWays | null; error: string } {
    const [ways, setWays] = useState<LoginWays | null>(null);
    const [error, setError] = useState("");
    useEffect(() => {
        get("/api/login").then(setWays, (why: Error) => setError(why.message));
    }, []);
    return { ways, error };
}

interface Field {
    name: string;
    words: string;
    complete: string; // for the browser's own memory
    isSecret: boolean;
}

const PASSWORD: Field[] = [
    { name: "name", words: t.login.name, complete: "username", isSecret: false },
    { name: "password", words: t.login.password, complete: "current-password", isSecret: true },
];
const FIRST: Field[] = [
    { name: "code", words: t.login.code, complete: "one-time-code", isSecret: false },
    { name: "name", words: t.login.name, complete: "username", isSecret: false },
    { name: "password", words: t.login.password, complete: "new-password", isSecret: true },
    { name: "again", words: t.login.again, complete: "new-password", isSecret: true },
];

// What was typed is read when it is sent, so that a password stands nowhere else.
function Door({ fields, button, enter }: { fields: Field[]; button: string; enter: (typed: Record<string, string>) => Promise<void> }) {
    const [error, setError] = useState("");
    const [busy, setBusy] = useState(false);
    const send = (event: SubmitEvent) => {
        event.preventDefault();
        const form = event.currentTarget as HTMLFormElement;
        const typed = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
        setError("");
        setBusy(true);
        enter(typed)
            .catch((why: Error) => {
                setError(why.message);
                form.querySelector<HTMLInputElement>("[type=password]")?.select();
            })
            .then(() => setBusy(false));
    };
    return (
        <form class="fields" onSubmit={send}>
            {fields.map(({ name, words, complete, isSecret }, at) => (
                <label key={name}>
                    {words} <input name={name} required autofocus={at === 0} autocomplete={complete} type={isSecret ? "password" : "text"} spellcheck={false} maxLength={1024} />
                </label>
            ))}
            {error && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
            <button class="main" disabled={busy}>
                {button}
            </button>
        </form>
    );
}

async function makeFirst(typed: Record<string, string>): Promise<void> {
    if (typed.password !== typed.again) throw new Error(t.login.differ);
    await logInFirst(typed.code ?? "", typed.name ?? "", typed.password ?? "");
}

// `ended`: the session before ended by time.
export function Login({ ended, elsewhere }: { ended: boolean; elsewhere: Elsewhere | null }) {
    const { ways, error } = useWays();
    return (
        <main class="login">
            <h1>{ways?.first ? t.login.firstTitle : t.login.title}</h1>
            {ended && <p role="status">{t.login.ended}</p>}
            {elsewhere && (
                <p role="status">
                    {t.login.elsewhere(elsewhere.provider)} <a href={elsewhere.url}>{t.login.endThere}</a>
                </p>
            )}
            {ways?.refused && (
                <p class="error" role="alert">
                    {ways.refused}
                </p>
            )}
            {error && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
            {ways?.first && (
                <>
                    <p>{t.login.firstWords}</p>
                    <Door key="first" fields={FIRST} button={t.login.make} enter={makeFirst} />
                </>
            )}
            {ways && !ways.first && ways.password && <Door key="password" fields={PASSWORD} button={t.login.enter} enter={({ name = "", password = "" }) => logIn(name, password)} />}
            {ways && ways.providers.length > 0 && (
                <div class="providers">
                    {(ways.first || ways.password) && <p>{t.login.or}</p>}
                    {ways.providers.map(({ name, words, url }) => (
                        <a key={name} class="way" href={url} onClick={remember}>
                            {words}
                        </a>
                    ))}
                </div>
            )}
            {ways && !ways.first && !ways.password && ways.providers.length === 0 && <p class="error">{t.login.noWay}</p>}
        </main>
    );
}
