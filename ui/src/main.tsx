import { render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Item, type Rows, getRows } from "./api";
import { CONFLICTS, ConflictList } from "./conflicts";
import { date } from "./dates";
import { List } from "./list";
import { useLive } from "./live";
import { Study } from "./study";
import "./style.css";

// The study that an address names; "" is the list.
function studyOf(address: string): string {
    try {
        return decodeURIComponent(address.slice(1));
    } catch {
        return "";
    }
}

function App() {
    const { revision, stream } = useLive();
    const [rows, setRows] = useState<Rows<Item> | null>(null);
    const list = rows?.rows ?? null;
    const [address, setAddress] = useState(location.hash);
    const [error, setError] = useState("");
    const [read, setRead] = useState<Date | null>(null);
    const from = useRef("");

    // Before the first paint: an address that is changed as soon as the page is there counts.
    useLayoutEffect(() => {
        const follow = () => setAddress(location.hash);
        addEventListener("hashchange", follow);
        return () => removeEventListener("hashchange", follow);
    }, []);
    const study = address === CONFLICTS ? "" : studyOf(address);
    if (study) from.current = study;

    useEffect(() => {
        let current = true; // a slow answer must not overwrite a newer one
        getRows<Item>("/api/worklist")
            .then((items) => {
                if (!current) return;
                setRows(items);
                setRead(new Date());
                setError("");
            })
            .catch((why: Error) => current && setError(why.message));
        return () => {
            current = false;
        };
    }, [revision]);

    const state = error ? "lost" : stream;
    const urgent = list?.filter((item) => item.urgency === "stat").length;
    useEffect(() => {
        document.title = urgent ? `Hilum: ${urgent} stat` : "Hilum";
    }, [urgent]);

    return (
        <>
            <p class="banner">
                <b>Hilum</b> for research, not a medical device{" "}
                <span class={state === "open" ? "live" : "lost"} role="status">
                    {state === "lost" ? `connection lost, trying again${read ? `; as of ${date(read)}` : ""}` : state === "open" ? "live" : "connecting"}
                </span>
            </p>
            {error && (
                <p class="error banner" role="alert">
                    {error}
                </p>
            )}
            {address === CONFLICTS && <ConflictList revision={revision} />}
            {study && <Study key={study} study={study} item={list?.find((item) => item.study === study)} revision={revision} />}
            {address !== CONFLICTS && !study && <List list={list} more={rows?.more ?? ""} from={from.current} revision={revision} />}
        </>
    );
}

render(<App />, document.getElementById("app")!);
