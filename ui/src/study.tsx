// One study: its images, what the models say of it, and what a person says of that.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Finding, type Job, type Mark, type Result, post } from "./api";
import { Band, Bands, type Conflicts, NO_CONFLICTS } from "./conflicts";
import { date } from "./dates";
import { type Dataset, idOf, isImages, patientName, personName, text } from "./dicom";
import { EmergencyAccess } from "./emergency";
import { Judge } from "./judge";
import { StudyLabels } from "./labels";
import { Models, NothingFound, type WhereOf, doubtsOf, isReported } from "./models";
import type { Shown as Screen } from "./routes";
import { may, useSigner } from "./session";
import { Signature } from "./signature";
import { useStore } from "./store";
import { t } from "./texts";
import { Viewer, isTyping } from "./viewer";
import { type Mask, type Slice, type Stack, loadMask, loadStacks, sliceAt } from "./volume";

const UID_TAIL = 8;

function isHead(stack: Stack): boolean {
    return /HEAD|BRAIN|SKULL/i.test(stack.bodyPart);
}

interface Card {
    finding: Finding;
    number: number; // on the page: the card's, and that in the images
    slice: number; // where it is, from 1; 0 where other images are shown
    isChosen: boolean; // it is looked at: the images mark it
    where: string; // its series and patient, where there are several
    reason: string; // that it is of earlier images
    isShown: boolean; // the images beside it are its patient's: only then it is judged here
    name: string; // of who judges
    why: string; // it cannot be judged; "": it can
    onShow: () => void;
    onDone: () => Promise<void>;
}

function FindingCard({ finding, number, slice, isChosen, where, reason, isShown, name, why, onShow, onDone }: Card) {
    const card = useRef<HTMLLIElement>(null);
    useEffect(() => {
        if (isChosen) card.current?.scrollIntoView({ block: "nearest" });
    }, [isChosen]);
    return (
        <li ref={card} class={`finding ${finding.urgency} ${finding.state} ${isChosen ? "chosen" : ""}`} aria-current={isChosen}>
            <div class="title">
                <span class={isChosen ? "number chosen" : "number"}>{number}</span>
                <button class="sentence" title={t.study.show} onClick={onShow}>
                    {finding.sentence}
                </button>
            </div>
            <p>
                {finding.urgency} · {finding.model} {finding.modelVersion} · segment {finding.segment}
                {slice > 0 && ` · slice ${slice}`}
            </p>
            {where && (
                <p class="whose">
                    <bdi>{where}</bdi>
                </p>
            )}
            {reason && <p class="not-analysed">{t.study.notDrawn(reason)}</p>}
            {isShown ? (
                <Judge finding={finding} name={name} why={why} onDone={onDone} />
            ) : (
                <button class="elsewhere" onClick={onShow}>
                    {t.study.elsewhere}
                </button>
            )}
        </li>
    );
}

// Whose objects these are, where that is in doubt.
function Patients({ patients, flags }: { patients: Dataset[]; flags: string[] }) {
    const doubts = doubtsOf(flags);
    if (patients.length > 1 && doubts.length === 0) doubts.push(`objects of ${patients.length} patients`);
    if (doubts.length === 0) return null;
    return (
        <Band line={<bdi class="doubt">{doubts.join("; ")}</bdi>}>
            {patients.length > 1 && (
                <ul>
                    {patients.map((one) => (
                        <li key={patientName(one)}>
                            <bdi>{patientName(one)}</bdi>: {text(one, "00201208")} objects, in stacks of their own
                        </li>
                    ))}
                </ul>
            )}
        </Band>
    );
}

// The grave findings that nobody has accepted or rejected, in words; "": there are none.
function unjudgedIn(findings: Finding[]): string {
    const open = findings.filter(({ state }) => state === "unverified").map(({ urgency }) => urgency);
    const counts = ["stat", "urgent"].map((urgency) => ({ urgency, count: open.filter((one) => one === urgency).length })).filter(({ count }) => count > 0);
    if (counts.length === 0) return "";
    const isOne = counts.length === 1 && counts[0]?.count === 1;
    return `${counts.map(({ urgency, count }) => `${count} ${urgency}`).join(" and ")} ${isOne ? "finding is" : "findings are"} neither accepted nor rejected`;
}

interface Head {
    study: string;
    patient: Dataset | undefined;
    mark: Mark | null; // of who has read it
    why: string; // it cannot be marked as read, or as unread; "": it can
    onMark: () => void;
}

function Header({ study, patient, mark, why, onMark }: Head) {
    const facts: [string, string][] = [
        [t.study.facts.id, patient ? idOf(patient) : ""],
        [t.study.facts.born, date(text(patient, "00100030"))],
        [t.study.facts.sex, text(patient, "00100040")],
        [t.study.facts.date, date(text(patient, "00080020"))],
        [t.study.facts.accession, text(patient, "00080050")],
        ["", text(patient, "00081030")],
    ];
    return (
        <header>
            <h1 class="clip" dir="auto" title={text(patient, "00100010")}>
                {patient ? personName(text(patient, "00100010")) : t.study.title}
            </h1>
            {facts.map(
                ([name, value]) =>
                    value && (
                        <span key={name} class="fact" title={value}>
                            {name} <bdi>{value}</bdi>
                        </span>
                    ),
            )}
            {mark?.read && (
                <span class="fact">
                    {t.study.readBy} <bdi>{mark.by}</bdi> {date(mark.read)}
                </span>
            )}
            {patient && <StudyLabels study={study} />}
            <button disabled={!!why} title={why} onClick={onMark}>
                {mark?.read ? t.study.markUnread : t.study.markRead}
            </button>
        </header>
    );
}

function seriesName(series: Dataset): string {
    const words = [text(series, "00200011"), text(series, "00080060"), text(series, "0008103E"), `(${text(series, "00201209")})`];
    return words.filter(Boolean).join(" ");
}

function largest(series: Dataset[]): Dataset | undefined {
    return [...series].sort((a, b) => Number(text(b, "00201209")) - Number(text(a, "00201209")))[0];
}

// A search gives a series of two patients twice.
function onePerUid(rows: Dataset[]): Dataset[] {
    const byUid = new Map<string, Dataset>();
    for (const row of rows) {
        const before = byUid.get(text(row, "0020000E"));
        const objects = Number(text(before, "00201209")) + Number(text(row, "00201209"));
        byUid.set(text(row, "0020000E"), { ...(before ?? row), "00201209": { vr: "IS", Value: [objects] } });
    }
    return [...byUid.values()];
}

function isOf(patient: Dataset | undefined, result: Result | undefined): boolean {
    return !!patient && !!result && text(patient, "00100020") === result.patientId && text(patient, "00100021") === result.issuer;
}

function isSame(a: Dataset, b: Dataset): boolean {
    return ["00100020", "00100021"].every((tag) => text(a, tag) === text(b, tag));
}

// The stacks of a series, a patient each, with the series they are of, so that one is never shown with the other's.
interface Shown {
    series: string;
    stacks: Stack[];
}

// What was taken of a series: its stack is another one since.
function takenOf({ all }: Conflicts, series: string): string {
    return JSON.stringify(all.rows.filter((one) => one.series === series && one.state === "taken").map(({ id, decided }) => [id, decided]));
}

// `why`: it could not be asked again.
function NoStudy({ study, why }: { study: string; why: string }) {
    return (
        <main class="study">
            <header>
                <h1>{t.study.noSuch}</h1>
            </header>
            {why && (
                <p class="error" role="alert">
                    {why}
                </p>
            )}
            <p class="nowhere">
                There is no study <bdi>{study}</bdi> here. If its images are still to come, they are shown as soon as they are stored.
            </p>
            <EmergencyAccess />
        </main>
    );
}

export function Study({ of: study }: Screen) {
    const { value: known, error: lost, again } = useStore("study", study);
    const series = known?.series ?? null;
    const findings = known?.findings ?? null;
    const { item, mark = null, jobs = [], results = [], conflicts = NO_CONFLICTS, patients = [], flags = [] } = known ?? {};
    const version = item?.version ?? null; // that is seen; null: it is not on the list
    const [chosen, setChosen] = useState("");
    const [shown, setShown] = useState<Shown | null>(null);
    const [mask, setMask] = useState<Mask | null>(null);
    const [who, setWho] = useState(""); // whose stack of them
    const [slice, setSlice] = useState(0);
    const [goal, setGoal] = useState<Finding | null>(null);
    const [looked, setLooked] = useState(""); // the finding that is looked at
    const [unread, setUnread] = useState(""); // why it could not be marked as read, or as unread
    const [error, setError] = useState("");
    const [maskError, setMaskError] = useState("");
    const mayLook = may("retrieve objects");
    const signer = useSigner();
    const name = signer.name.trim();

    // The first finding is looked at when the study is opened, not again when another comes while somebody reads.
    const images = series && onePerUid(series.filter((one) => isImages(text(one, "00080060"))));
    useEffect(() => {
        if (chosen || !images || !findings) return;
        const first = findings[0];
        // A card may have been pressed since it was drawn: that one is looked at.
        setGoal((pressed) => pressed ?? first ?? null);
        setLooked((pressed) => pressed || (first?.id ?? ""));
        setChosen((pressed) => pressed || (first?.series ?? text(largest(images), "0020000E")));
    }, [series, findings]);

    const stack = shown?.stacks.find((one) => one.who === who) ?? shown?.stacks[0];
    const resultOf = (finding: Finding) => results.find(({ id }) => id === finding.result);
    // Beside the images of its own patient.
    const isShown = (finding: Finding) => patients.length < 2 || isOf(stack?.patient, resultOf(finding));
    const look = (at: Stack | undefined, slice = Math.floor((at?.slices.length ?? 0) / 2)) => {
        setWho(at?.who ?? "");
        setSlice(slice);
    };

    // Images that come late, or that are taken for others, make the stacks anew; whoever reads stays at the slice.
    const stored = text(images?.find((one) => text(one, "0020000E") === chosen), "00201209") + takenOf(conflicts, chosen);
    useEffect(() => {
        if (!chosen || !mayLook) return;
        let current = true;
        const before = shown?.series === chosen ? stack?.slices[slice] : undefined;
        if (!before) setShown(null);
        setError("");
        loadStacks(study, chosen)
            .then(({ stacks, lost: missing }) => {
                if (!current) return;
                setError(missing);
                const isBefore = ({ uid, frame }: Slice) => uid === before?.uid && frame === before.frame;
                const same = stacks.find(({ slices }) => slices.some(isBefore));
                look(same ?? stacks[0], same?.slices.findIndex(isBefore));
                setShown({ series: chosen, stacks });
            })
            .catch((why: Error) => current && setError(t.study.lost(why.message)));
        return () => {
            current = false;
        };
    }, [chosen, stored]);

    useEffect(() => {
        if (!goal || !shown || shown.series !== goal.series) return;
        const own = shown.stacks.find(({ patient }) => isOf(patient, resultOf(goal))) ?? stack;
        const at = own ? sliceAt(own, goal.centroidMm) : -1;
        if (at >= 0) look(own, at);
        setGoal(null);
    }, [goal, shown]);

    const show = (finding: Finding) => {
        setChosen(finding.series);
        setGoal(finding);
        setLooked(finding.id);
    };
    // The stack that is shown is its own: its slice has a number there.
    const sliceOf = (finding: Finding) => (stack && finding.series === shown?.series && isShown(finding) ? sliceAt(stack, finding.centroidMm) + 1 : 0);
    const numberOf = (finding: Finding) => findings!.indexOf(finding) + 1;
    const isLookedAt = (finding: Finding) => finding.id === looked && finding.series === shown?.series && isShown(finding);

    // Of what was rejected the number alone is drawn; of what was found in images that were replaced, nothing.
    const drawn = (findings ?? []).filter((finding) => finding.series === shown?.series && finding.seg && resultOf(finding)?.images !== "earlier");
    const masks = [...new Set(drawn.map((finding) => finding.seg))].map((seg) => ({ seg, segments: drawn.filter((finding) => finding.seg === seg).map((finding) => ({ segment: finding.segment, finding: numberOf(finding), isRejected: finding.state === "rejected" })) }));
    useEffect(() => {
        let current = true;
        setMask(null);
        setMaskError("");
        if (stack && masks.length > 0)
            loadMask(stack, study, masks)
                .then((loaded) => current && setMask(loaded))
                .catch((why: Error) => current && setMaskError(why.message));
        return () => {
            current = false;
        };
    }, [stack, JSON.stringify(masks)]);

    // Before the first paint: a key pressed as soon as the study is seen counts.
    useLayoutEffect(() => {
        const onKey = (event: KeyboardEvent) => {
            if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
            const before = findings?.findIndex(({ id }) => id === looked) ?? -1;
            const next = event.key === "f" && findings?.[(before + 1) % findings.length];
            if (next) show(next);
        };
        addEventListener("keydown", onKey);
        return () => removeEventListener("keydown", onKey);
    }, [findings, looked]);

    // While the question stands the page stands still: what came meanwhile is shown before it is asked again.
    const markRead = () => {
        setUnread("");
        const open = unjudgedIn(findings ?? []);
        if (!confirm(t.study.ask(open))) return;
        post("/api/worklist/{study}/read", { study }, { by: name, version })
            .then(() => (location.hash = ""))
            .catch((why: Error) => {
                setUnread(t.study.notRead(why.message));
                return again();
            });
    };

    const markUnread = () => {
        setUnread("");
        post("/api/worklist/{study}/unread", { study }, { by: name, version: mark?.version })
            .catch((why: Error) => setUnread(t.study.notUnread(why.message)))
            .then(again);
    };
    const isJudge = may("judge");
    const whyNot = !isJudge ? t.judge.notYours : name ? "" : t.nameFirst; // nothing is judged
    const whyNotRead = whyNot || (version === null && !mark?.read ? t.study.notListed : "");

    // Whose a series is, where not all patients of the study have objects in it.
    const ownersOf = (uid: string) => {
        const rows = (series ?? []).filter((one) => text(one, "0020000E") === uid);
        const owners = patients.filter((one) => rows.some((row) => isSame(one, row)));
        return owners.length < patients.length ? owners.map(patientName).join("; ") : "";
    };
    // Two series of a patient may have the same name: then the end of the UID tells them apart.
    const nameOf = (series: Dataset) => {
        const name = (one: Dataset) => [seriesName(one), ownersOf(text(one, "0020000E"))].join();
        const isAlone = (images ?? []).filter((one) => name(one) === name(series)).length < 2;
        return seriesName(series) + (isAlone ? "" : ` UID ...${text(series, "0020000E").slice(-UID_TAIL)}`);
    };
    // An answer is of one patient; what could not be answered is of all that the series has.
    const whoseOf = (of: Result | Job | Finding) => {
        if (!("patientId" in of) || (of.outcome !== "positive" && of.outcome !== "negative")) return ownersOf(of.series);
        const own = patients.find((one) => isOf(one, of));
        if (!own) return `patient ${of.patientId}${of.issuer && ` of ${of.issuer}`}`;
        return patients.length > 1 ? patientName(own) : "";
    };
    const whereOf: WhereOf = (of) => {
        const one = (images ?? []).find((one) => text(one, "0020000E") === of.series);
        return [whoseOf(of) && `of ${whoseOf(of)}`, one && images!.length > 1 && `series ${nameOf(one)}`].filter(Boolean).join(", ");
    };

    // Nothing is known of it: not what is held back, not what was said of images that are lost.
    const isNowhere = series?.length === 0 && patients.length === 0 && version === null && !mark?.read && [findings, results, jobs, flags, conflicts.all.rows].every((all) => all?.length === 0);
    if (isNowhere) return <NoStudy study={study} why={lost} />;

    const wrong = unread || error || lost;
    return (
        <main class="study">
            <Header study={study} patient={stack?.patient ?? series?.[0]} mark={mark} why={whyNotRead} onMark={mark?.read ? markUnread : markRead} />
            {wrong && (
                <p class="error" role="alert">
                    {wrong}
                </p>
            )}
            <Patients patients={patients} flags={flags} />
            <Bands conflicts={conflicts} name={name} why={whyNot} onDone={again} />
            <div class="panes">
                <section>
                    {images && images.length > 1 && (
                        <label class="series">
                            {t.study.series}{" "}
                            <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
                                {images.map((one) => (
                                    <option key={text(one, "0020000E")} value={text(one, "0020000E")}>
                                        {[nameOf(one), ownersOf(text(one, "0020000E"))].filter(Boolean).join(", ")}
                                    </option>
                                ))}
                            </select>
                        </label>
                    )}
                    {shown && shown.stacks.length > 1 && (
                        <label class="series whose">
                            {t.study.patient}{" "}
                            <select value={stack?.who} onChange={(event) => look(shown.stacks.find((one) => one.who === event.currentTarget.value))}>
                                {shown.stacks.map((one) => (
                                    <option key={one.who} value={one.who}>
                                        {patientName(one.patient)}
                                    </option>
                                ))}
                            </select>
                        </label>
                    )}
                    {patients.length > 1 && shown?.stacks.length === 1 && stack && (
                        <p class="whose">
                            <bdi>{patientName(stack.patient)}</bdi>
                        </p>
                    )}
                    {shown && stack && <Viewer key={shown.series + stack.who} stack={stack} mask={mask} chosen={1 + (findings ?? []).findIndex(isLookedAt)} slice={slice} onSlice={setSlice} head={isHead(stack)} />}
                    {shown && !stack && <p>{t.study.noImages}</p>}
                    {series?.length === 0 && <p>{t.study.noneServed}</p>}
                    {series && series.length > 0 && images?.length === 0 && (
                        <p>{t.study.onlyOthers([...new Set(series.map((one) => text(one, "00080060")))].join(", "))}</p>
                    )}
                    {!mayLook && <p>{t.notAllowed("retrieve objects")}</p>}
                    {mayLook && !shown && !wrong && (chosen || !series) && <p>{t.study.loading}</p>}
                    {maskError && (
                        <p class="error" role="alert">
                            {t.study.mask} {maskError}
                        </p>
                    )}
                </section>
                <aside>
                    {isJudge && <Signature signer={signer} verified={t.judgesAs} typed={t.yourName} />}
                    <h2>{t.study.findings}</h2>
                    <ul>
                        {findings?.map((finding) => (
                            <FindingCard
                                key={finding.id}
                                finding={finding}
                                number={numberOf(finding)}
                                slice={sliceOf(finding)}
                                isChosen={isLookedAt(finding)}
                                where={whereOf(resultOf(finding) ?? finding)}
                                reason={resultOf(finding)?.reason ?? ""}
                                isShown={isShown(finding)}
                                name={name}
                                why={isJudge && whyNot ? t.judge.nameAbove : whyNot}
                                onShow={() => show(finding)}
                                onDone={again}
                            />
                        ))}
                    </ul>
                    {findings?.length === 0 && <NothingFound results={results} jobs={jobs} arriving={item?.arriving ?? false} reported={isReported((series ?? []).map((one) => text(one, "00080060")))} whereOf={whereOf} />}
                    {!findings && <p>{lost ? t.study.unknown : t.loading}</p>}
                    <h2>{t.study.models}</h2>
                    <Models study={study} name={name} why={whyNot} onDone={again} results={results} jobs={jobs} images={images ?? []} arriving={item?.arriving ?? false} nameOf={nameOf} whereOf={whereOf} />
                </aside>
            </div>
        </main>
    );
}
