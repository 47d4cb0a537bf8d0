// The server's events, which the store is fed by.

const EVENTS = ["worklist.changed", "result.changed", "finding.judged", "object.kept_beside", "object.served", "series.complete", "job.queued", "job.done", "delivery.done", "config.changed"] as const;
const AGAIN_MS = 3_000;

export type Event = (typeof EVENTS)[number];
export type Stream = "connecting" | "open" | "lost" | "none"; // none: whoever is here may not have it
type Message = Stream | Event | "anything" | "hello";

// The one stream of all tabs. A browser opens six connections to a server in all, so seven streams would leave none for the images.
let events: EventSource | null = null;
let again: ReturnType<typeof setTimeout> | undefined;

function follow(tell: (message: Message) => void): void {
    leave();
    events = new EventSource("/api/events");
    for (const name of EVENTS) events.addEventListener(name, () => tell(name));
    events.addEventListener("reset", () => tell("anything"));
    events.onopen = () => {
        tell("open");
        tell("anything"); // whatever came while there was no stream
    };
    events.onerror = () => {
        tell("lost");
        if (events?.readyState === EventSource.CLOSED) again = setTimeout(() => follow(tell), AGAIN_MS); // refused: the browser does not try again by itself
    };
}

function leave(): void {
    clearTimeout(again);
    events?.close();
    events = null;
}

// The tab that holds the lock follows the stream and tells the others; when it is closed, or nobody is logged in there, the next one gets the lock.
// What is returned ends it.
export function share(hear: (message: Exclude<Message, "hello">) => void): () => void {
    const tabs = new BroadcastChannel("hilum events");
    const over = new AbortController();
    let leading = false;
    let state: Stream = "connecting";
    let release = () => {};
    tabs.onmessage = ({ data }: MessageEvent<Message>) => {
        if (data !== "hello") hear(data);
        else if (leading) tabs.postMessage(state);
    };
    tabs.postMessage("hello");
    navigator.locks
        .request("hilum events", { signal: over.signal }, () => {
            leading = true;
            follow((message) => {
                if (message === "open" || message === "lost") state = message;
                if (message !== "hello") hear(message);
                tabs.postMessage(message);
            });
            return new Promise<void>((resolve) => (release = resolve));
        })
        .catch(() => {}); // it was ended while it waited
    return () => {
        over.abort();
        if (leading) leave();
        release();
        tabs.close();
    };
}
