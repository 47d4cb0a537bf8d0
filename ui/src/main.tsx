// The frame that every screen stands in: where one can go, who is there, and how the server is.
import { render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Session } from "./api";
import { date } from "./dates";
import type { Stream } from "./live";
import { Login } from "./login";
import { type Screen, linked, match, titleOf } from "./routes";
import { askWho, comeBack, logOff, may, useEnd, useWho } from "./session";
import { useFeed, useStore } from "./store";
import "./style.css";
import { language, t } from "./texts";
import { isTyping } from "./viewer";

// Before the first paint: an address that is changed as soon as the page is there counts, and so does a key.
function useAddress(): string {
    const [address, setAddress] = useState(location.hash);
    useLayoutEffect(() => {
        const follow = () => setAddress(location.hash);
        addEventListener("hashchange", follow);
        return () => removeEventListener("hashchange", follow);
    }, []);
    return address;
}

function useEscape(): void {
    useLayoutEffect(() => {
        const onKey = (event: KeyboardEvent) => {
            if (event.key !== "Escape" || isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
            location.hash = "";
        };
        addEventListener("keydown", onKey);
        return () => removeEventListener("keydown", onKey);
    }, []);
}

function Navigation({ present }: { present: Screen | undefined }) {
    const screens = linked();
    return (
        <nav aria-label={t.navigation}>
            {screens.length > 1 &&
                screens.map((screen) => (
                    <a key={screen.path} href={`#${screen.path}`} aria-current={screen === present ? "page" : undefined}>
                        {titleOf(screen)}
                    </a>
                ))}
        </nav>
    );
}

function Person({ session }: { session: Session }) {
    if (session.kind !== "user") return null;
    return (
        <span class="person">
            <a href="#/me" title={session.roles.join(", ")}>
                <bdi>{session.shown || session.name}</bdi>
            </a> <button onClick={() => void logOff()}>{t.login.off}</button>
        </span>
    );
}

function Ending({ session }: { session: Session }) {
    const end = useEnd(session);
    if (!end) return null;
    return (
        <p class="banner ending" role="alert">
            {end.forSure ? t.login.ends(end.left) : t.login.idle(end.left)} {!end.forSure && <button>{t.login.stay}</button>}
        </p>
    );
}

// Those who may not see the list have no error of it.
function useList() {
    const { value, error, read } = useStore(may("query patients and studies") ? "worklist" : "health");
    return { list: value && "rows" in value ? value.rows : null, error, read };
}

function How({ stream, error, read }: { stream: Stream; error: string; read: Date | null }) {
    const state = error ? "lost" : stream;
    if (state === "none") return null;
    return (
        <span class={state === "open" ? "live" : "lost"} role="status">
            {state === "lost" ? t.stream.lost(read ? date(read) : "") : t.stream[state]}
        </span>
    );
}

function Shell({ session }: { session: Session }) {
    const address = useAddress();
    const stream = useFeed(may("query patients and studies"));
    const { list, error, read } = useList();
    const last = useRef("");
    const present = match(address);
    useEscape();
    if (present?.screen.path === "*") last.current = present.of;

    const urgent = list?.filter((item) => item.urgency === "stat").length;
    useEffect(() => {
        document.title = urgent ? t.stat(urgent) : t.product;
    }, [urgent]);

    const isAllowed = present && may(present.screen.action);
    return (
        <>
            <div class="banner">
                <b>{t.product}</b> <Navigation present={present?.screen} /> <span class="use">{t.use}</span> <Person session={session} /> <How stream={stream} error={error} read={read} />
            </div>
            <Ending session={session} />
            {error && (
                <p class="error banner" role="alert">
                    {error}
                </p>
            )}
            {isAllowed && <present.screen.component key={`${present.screen.path} ${present.of}`} of={present.of} last={last.current} />}
            {!isAllowed && (
                <main>
                    <p>{present ? t.notAllowed(present.screen.action) : t.nowhere}</p>
                </main>
            )}
        </>
    );
}

function App() {
    const who = useWho();
    useEffect(() => {
        document.documentElement.lang = language;
        comeBack();
        void askWho();
    }, []);
    if (who.session) return <Shell key={who.session.name} session={who.session} />;
    return (
        <>
            <div class="banner">
                <b>{t.product}</b> <span class="use">{t.use}</span>
            </div>
            {who.error && (
                <p class="error banner" role="alert">
                    {who.error}
                </p>
            )}
            {who.session === null ? <Login ended={who.ended} elsewhere={who.elsewhere} /> : <main>{!who.error && <p>{t.loading}</p>}</main>}
        </>
    );
}

render(<App />, document.getElementById("app")!);
