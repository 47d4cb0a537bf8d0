import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Item, type Job, get } from "./api";
import { List } from "./list";
import { useLive } from "./live";
import { Study } from "./study";
import "./style.css";

// The study that the address names; "" is the list.
function studyOfAddress(): string {
    try {
        return decodeURIComponent(location.hash.slice(1));
    } catch {
        return "";
    }
}

function App() {
    const { revision, stream } = useLive();
    const [list, setList] = useState<Item[] | null>(null);
    const [jobs, setJobs] = useState<Job[]>([]);
    const [study, setStudy] = useState(studyOfAddress);
    const [error, setError] = useState("");
    const [read, setRead] = useState<Date | null>(null);
    const from = useRef("");

    useEffect(() => {
        const follow = () => setStudy(studyOfAddress());
        addEventListener("hashchange", follow);
        return () => removeEventListener("hashchange", follow);
    }, []);
    if (study) from.current = study;

    useEffect(() => {
        let current = true; // a slow answer must not overwrite a newer one
        Promise.all([get<Item[]>("/api/worklist"), get<Job[]>("/api/jobs")])
            .then(([items, all]) => {
                if (!current) return;
                setList(items);
                setJobs(all);
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
                    {state === "lost" ? `connection lost, trying again${read ? `; as of ${read.toLocaleTimeString()}` : ""}` : state === "open" ? "live" : "connecting"}
                </span>
            </p>
            {error && (
                <p class="error banner" role="alert">
                    {error}
                </p>
            )}
            {study ? <Study key={study} study={study} revision={revision} /> : <List list={list} jobs={jobs} from={from.current} />}
        </>
    );
}

render(<App />, document.getElementById("app")!);
