// One study: its images, what the models say of it, and what a person says of that.
import { useEffect, useState } from "preact/hooks";
import { type Dataset, type Finding, type Job, get, post, text } from "./api";
import { Viewer } from "./viewer";
import { type Mask, type Stack, loadMask, loadStack, sliceAt } from "./volume";

const NOT_IMAGES = new Set(["SR", "SEG", "PR", "KO", "DOC"]);

function Judge({ finding, onDone }: { finding: Finding; onDone: () => void }) {
    const [name, setName] = useState(localStorage.getItem("name") ?? "");
    const [error, setError] = useState("");
    const say = (state: string) => {
        localStorage.setItem("name", name);
        post(`/api/findings/${finding.id}/judge`, { state, by: name })
            .then(onDone)
            .catch((why: Error) => setError(why.message));
    };
    if (finding.state !== "unverified")
        return (
            <p class={`judged ${finding.state}`}>
                {finding.state} by {finding.judgedBy} <small>(name as typed, not verified)</small>
            </p>
        );
    return (
        <div class="judge">
            <input aria-label="Your name" placeholder="Your name" value={name} onInput={(event) => setName(event.currentTarget.value)} />
            <button disabled={!name} onClick={() => say("accepted")}>
                Accept
            </button>
            <button disabled={!name} onClick={() => say("rejected")}>
                Reject
            </button>
            {error && <p class="error">{error}</p>}
        </div>
    );
}

function FindingCard({ finding, onShow, onDone }: { finding: Finding; onShow: () => void; onDone: () => void }) {
    return (
        <li class={`finding ${finding.urgency}`}>
            <button class="sentence" onClick={onShow}>
                {finding.concept.meaning}, {finding.side || "side unknown"}, {finding.volumeMl.toFixed(1)} mL
            </button>
            <p>
                score {finding.score.toFixed(2)} · {finding.model} {finding.modelVersion}
            </p>
            <p class="label">{finding.label}</p>
            <Judge finding={finding} onDone={onDone} />
        </li>
    );
}

export function Study({ study, revision }: { study: string; revision: number }) {
    const [stack, setStack] = useState<Stack | null>(null);
    const [mask, setMask] = useState<Mask | null>(null);
    const [slice, setSlice] = useState(0);
    const [findings, setFindings] = useState<Finding[]>([]);
    const [jobs, setJobs] = useState<Job[]>([]);
    const [patient, setPatient] = useState<Dataset>({});
    const [error, setError] = useState("");

    const refresh = async () => {
        setFindings(await get<Finding[]>(`/api/studies/${study}/findings`));
        setJobs(await get<Job[]>(`/api/jobs?study=${study}`));
    };

    useEffect(() => {
        setStack(null);
        setMask(null);
        get<Dataset[]>(`/dicom-web/studies/${study}/series`)
            .then(async (series) => {
                const images = series.filter((s) => !NOT_IMAGES.has(text(s, "00080060")));
                setPatient(series[0] ?? {});
                const largest = images.sort((a, b) => Number(text(b, "00201209")) - Number(text(a, "00201209")))[0];
                const loaded = largest ? await loadStack(`/dicom-web/studies/${study}/series/${text(largest, "0020000E")}`) : null;
                setStack(loaded);
                if (loaded) setSlice(Math.floor(loaded.slices.length / 2));
            })
            .catch((why: Error) => setError(why.message));
    }, [study]);

    useEffect(() => {
        refresh().catch((why: Error) => setError(why.message));
    }, [study, revision]);

    const seg = findings[0]?.seg;
    useEffect(() => {
        if (stack && seg)
            loadMask(stack, study, seg)
                .then(setMask)
                .catch((why: Error) => setError(why.message));
        const first = findings[0];
        if (stack && first) setSlice(sliceAt(stack, first.centroidMm));
    }, [stack, seg]);

    return (
        <main class="study">
            <header>
                <a href="#">Reading list</a>
                <h1>{text(patient, "00100010").replace("^", ", ") || "Study"}</h1>
                <span>{text(patient, "00100020")}</span> <span>{text(patient, "00081030")}</span>
            </header>
            {error && <p class="error">{error}</p>}
            <div class="panes">
                {stack ? <Viewer stack={stack} mask={mask} slice={slice} onSlice={setSlice} /> : <p>Loading images ...</p>}
                <aside>
                    <h2>Findings</h2>
                    <ul>
                        {findings.map((finding) => (
                            <FindingCard key={finding.id} finding={finding} onShow={() => stack && setSlice(sliceAt(stack, finding.centroidMm))} onDone={refresh} />
                        ))}
                    </ul>
                    {findings.length === 0 && <p>None.</p>}
                    <h2>Models</h2>
                    <ul class="jobs">
                        {jobs.map((job) => (
                            <li key={job.key} class={job.state}>
                                {job.model}: {job.state} {job.outcome && `(${job.outcome})`} {job.reason && <em>{job.reason}</em>}
                            </li>
                        ))}
                    </ul>
                    {jobs.length === 0 && <p>No model has looked at this study.</p>}
                </aside>
            </div>
        </main>
    );
}
