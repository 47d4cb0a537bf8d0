// What keeps the page live: the server's events, read again whenever they were lost.
import { useEffect, useState } from "preact/hooks";

const EVENTS = ["worklist.changed", "result.changed", "finding.judged", "object.kept_beside", "object.served", "series.complete", "job.queued", "job.done", "reset"];
const GATHER_MS = 300; // many events at once, such as a series that arrives, are one reading
const CLOCK_MS = 30_000; // waits grow without events
const AGAIN_MS = 3_000;

export type Stream = "connecting" | "open" | "lost";
type Message = Stream | "changed" | "hello";

// The one stream of all tabs. A browser opens six connections to a server in all, so seven streams would leave none for the images.
function follow(tell: (message: Message) => void): void {
    const events = new EventSource("/api/events");
    for (const name of EVENTS) events.addEventListener(name, () => tell("changed"));
    events.onopen = () => {
        tell("open");
        tell("changed"); // whatever came while there was no stream
    };
    events.onerror = () => {
        tell("lost");
        if (events.readyState === EventSource.CLOSED) setTimeout(() => follow(tell), AGAIN_MS); // refused: the browser does not try again by itself
    };
}

// The tab that holds the lock follows the stream and tells the others; when it is closed the next one gets the lock.
function share(hear: (message: Message) => void): void {
    const tabs = new BroadcastChannel("hilum events");
    let leading = false;
    let state: Stream = "connecting";
    tabs.onmessage = ({ data }: MessageEvent<Message>) => {
        if (data !== "hello") hear(data);
        else if (leading) tabs.postMessage(state);
    };
    tabs.postMessage("hello");
    void navigator.locks.request("hilum events", () => {
        leading = true;
        follow((message) => {
            if (message === "open" || message === "lost") state = message;
            hear(message);
            tabs.postMessage(message);
        });
        return new Promise(() => {}); // for as long as the tab lives
    });
}

// A number that grows when something has changed, and how the stream is.
export function useLive(): { revision: number; stream: Stream } {
    const [revision, setRevision] = useState(0);
    const [stream, setStream] = useState<Stream>("connecting");
    useEffect(() => {
        let gathering: ReturnType<typeof setTimeout> | undefined;
        const changed = () => {
            gathering ??= setTimeout(() => {
                gathering = undefined;
                setRevision((n) => n + 1);
            }, GATHER_MS);
        };
        setInterval(changed, CLOCK_MS);
        share((message) => {
            if (message === "changed") changed();
            else if (message !== "hello") setStream(message);
        });
    }, []); // the application lives as long as its tab
    return { revision, stream };
}
