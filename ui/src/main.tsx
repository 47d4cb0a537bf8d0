import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Item, get } from "./api";
import { List } from "./list";
import { Study } from "./study";
import "./style.css";

const EVENTS = ["worklist.changed", "finding.made", "finding.judged", "job.queued", "job.done", "reset"];

function App() {
    const [list, setList] = useState<Item[]>([]);
    const [study, setStudy] = useState(location.hash.slice(1));
    const [revision, setRevision] = useState(0);
    const [live, setLive] = useState(false);

    useEffect(() => {
        const follow = () => setStudy(location.hash.slice(1));
        addEventListener("hashchange", follow);
        const events = new EventSource("/api/events");
        const changed = () => setRevision((n) => n + 1);
        for (const name of EVENTS) events.addEventListener(name, changed);
        events.onopen = () => {
            setLive(true);
            changed();
        };
        events.onerror = () => setLive(false);
        const clock = setInterval(changed, 60_000); // waits grow without events
        return () => {
            events.close();
            clearInterval(clock);
            removeEventListener("hashchange", follow);
        };
    }, []);

    useEffect(() => {
        get<Item[]>("/api/worklist").then(setList).catch(() => setLive(false));
    }, [revision]);

    return (
        <>
            <p class="banner">
                <b>Hilum</b> for research, not a medical device <span class={live ? "live" : "lost"}>{live ? "live" : "connection lost, trying again"}</span>
            </p>
            {study ? <Study study={study} revision={revision} /> : <List list={list} />}
        </>
    );
}

render(<App />, document.getElementById("app")!);
