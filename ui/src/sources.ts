// What the store can hold: how each is read, and which events may change it.
import { type Finding, type Item, type Job, type Mark, Refusal, type Result, type Rows, gauges, get, getRows, path, search } from "./api";
import { type Conflicts, NO_CONFLICTS, loadConflicts, loadPatients } from "./conflicts";
import type { Dataset } from "./dicom";
import type { Source } from "./store";

const SOON_MS = 2_000; // while a job runs: its start is no event
const QUEUE_MS = 10_000; // a try that fails is no event

export interface Study {
    item: Item | undefined; // on the list
    mark: Mark | null; // of who has read it, where it is not on the list
    findings: Finding[];
    results: Result[]; // past ones too
    jobs: Job[];
    conflicts: Conflicts;
    flags: string[];
    series: Dataset[];
    patients: Dataset[];
}

async function readStudy(study: string): Promise<Study> {
    // Before the rest: what comes while that is read has not been seen.
    const [item] = await get("/api/worklist", { study });
    const mark = item ? null : await get("/api/worklist/{study}/read", { study });
    const [findings, results, jobs, conflicts, doubts, series, patients] = await Promise.all([
        get("/api/studies/{study}/findings", { study }),
        get("/api/studies/{study}/results", { study, past: true }),
        get("/api/jobs", { study }),
        loadConflicts(study),
        get("/api/studies/{study}/flags", { study }),
        search(`${path("dicom-web", "studies", study)}/series`),
        search(`/dicom-web/studies?StudyInstanceUID=${encodeURIComponent(study)}`),
    ]);
    return { item, mark, findings, results, jobs, conflicts, flags: [...new Set([...(item?.flags ?? []), ...doubts])], series, patients };
}

// Whoever does not see a study is answered as if it were not here.
const NOWHERE: Study = { item: undefined, mark: null, findings: [], results: [], jobs: [], conflicts: NO_CONFLICTS, flags: [], series: [], patients: [] };

async function loadStudy(study: string): Promise<Study> {
    return readStudy(study).catch((why: Error) => {
        if (why instanceof Refusal && why.status === 404) return NOWHERE;
        throw why;
    });
}

// `of`: open ones for "", all for "all".
async function loadConflictList(state: string) {
    const conflicts = await getRows("/api/conflicts", { state });
    return { conflicts, patients: await loadPatients([...new Set(conflicts.rows.map(({ study }) => study))]) };
}

// What somebody has to see to is of several states: for STUCK all of these, else the one that is named.
export const STUCK = "stuck";

async function rowsOf<T>(state: string, stuck: string[], one: (state: string) => Promise<Rows<T>>): Promise<Rows<T>> {
    const parts = await Promise.all((state === STUCK ? stuck : [state]).map(one));
    return { rows: parts.flatMap(({ rows }) => rows), more: parts.map(({ more }) => more).filter(Boolean).join(" ") };
}

const loadDeliveries = (state: string) => rowsOf(state, ["dead", "waiting", "sending"], (state) => getRows("/api/deliveries", { state }));
const loadJobs = (state: string) => rowsOf(state, ["failed", "skipped"], (state) => getRows("/api/jobs", { state }));

const isUnderWay = ({ state }: { state: string }) => ["waiting", "sending", "queued", "running"].includes(state);
const soonIf = ({ rows }: Rows<{ state: string }>) => (rows.some(isUnderWay) ? QUEUE_MS : 3 * QUEUE_MS);

function source<T>(row: Source<T>): Source<T> {
    return row;
}

const OBJECTS = ["object.kept_beside", "object.served", "worklist.changed", "series.complete"] as const;

export const SOURCES = {
    worklist: source({ load: () => getRows("/api/worklist"), on: "anything" }),
    health: source({ load: () => get("/healthz"), on: "anything" }),
    study: source({ load: loadStudy, on: "anything", every: ({ jobs }) => (jobs.some(isUnderWay) ? SOON_MS : 30_000) }),
    // Each reading leaves a line in the audit trail.
    studyLabels: source({ load: (study) => get("/api/studies/{study}/labels", { study }), on: ["worklist.changed", "series.complete"], every: () => 0 }),
    conflicts: source({ load: loadConflictList, on: OBJECTS }),
    status: source({ load: () => get("/api/status"), on: OBJECTS }),
    disk: source({ load: () => gauges(["hilum_disk_free_bytes", "hilum_disk_low_water_bytes"]), on: ["series.complete"] }),
    deliveries: source({ load: loadDeliveries, on: ["delivery.done", "result.changed", "finding.judged", "job.done"], every: soonIf }),
    jobs: source({ load: loadJobs, on: ["job.queued", "job.done"], every: soonIf }),
    flagged: source({ load: (flag) => getRows("/api/flagged", { flag }), on: OBJECTS }),
    quarantine: source({ load: () => getRows("/api/quarantine"), on: [] }),
    models: source({ load: () => get("/api/models"), on: [] }),
    rules: source({ load: () => get("/api/rules"), on: ["config.changed"] }),
    labels: source({ load: () => get("/api/labels"), on: ["config.changed"] }),
    peers: source({ load: () => get("/api/peers"), on: ["config.changed"] }),
    receivers: source({ load: () => get("/api/hl7-targets"), on: ["config.changed"] }),
    backups: source({ load: () => get("/api/backups"), on: [], every: ({ running }) => (running ? SOON_MS : 30_000) }),
    unknown: source({ load: () => get("/api/audit/unknown"), on: [] }),
    connections: source({ load: () => get("/api/connections"), on: ["config.changed"] }),
    accounts: source({ load: () => get("/api/accounts"), on: [] }),
    provider: source({ load: () => get("/api/provider"), on: ["config.changed"] }),
    tokens: source({ load: () => get("/api/tokens"), on: [] }),
    sessions: source({ load: () => get("/api/sessions"), on: [] }),
    // Who looks leaves a line there: it is read when somebody asks.
    audit: source({ load: (query) => get("/api/audit", Object.fromEntries(new URLSearchParams(query))), on: [], every: () => 0 }),
};
