// The screens: where each is, what it takes to see it, and the one place that matches an address. A screen more is a row more.
import type { FunctionComponent } from "preact";
import { Accounts, Me } from "./accounts";
import { Audit } from "./audit";
import { ConflictList } from "./conflicts";
import { Connections } from "./connections";
import { List } from "./list";
import { Operation } from "./operation";
import { type Action, may } from "./session";
import { Study } from "./study";
import { type Texts, t } from "./texts";

export interface Shown {
    of: string; // what the address names; "" where it names nothing
    last: string; // the study that was looked at last, or ""
}

export interface Screen {
    path: string; // behind "#"; "*": whatever has no slash, which is what it is of
    title: keyof Texts["screens"];
    action: Action;
    component: FunctionComponent<Shown>;
    isLinked: boolean; // in the navigation
}

export const SCREENS: Screen[] = [
    { path: "", title: "list", action: "query patients and studies", component: List, isLinked: true },
    { path: "/conflicts", title: "conflicts", action: "query patients and studies", component: ConflictList, isLinked: true },
    { path: "/operation", title: "operation", action: "see the operation", component: Operation, isLinked: true },
    { path: "/connections", title: "connections", action: "see the configuration", component: Connections, isLinked: true },
    { path: "/audit", title: "audit", action: "see the audit trail", component: Audit, isLinked: true },
    { path: "/accounts", title: "accounts", action: "manage accounts", component: Accounts, isLinked: true },
    { path: "/me", title: "me", action: "load the page", component: Me, isLinked: false },
    { path: "*", title: "study", action: "query patients and studies", component: Study, isLinked: false },
];

export function linked(): Screen[] {
    return SCREENS.filter(({ isLinked, action }) => isLinked && may(action));
}

// What was cut off in the middle names nothing.
function decoded(path: string): string {
    try {
        return decodeURIComponent(path);
    } catch {
        return "";
    }
}

// What an address shows; where it names nothing, the first screen that whoever is here may see. undefined: there is no such screen.
export function match(address: string): { screen: Screen; of: string } | undefined {
    const raw = address.replace(/^#/, "");
    const path = raw.startsWith("/") ? raw : decoded(raw);
    const own = SCREENS.find((screen) => screen.path === path);
    if (own) return { screen: path === "" && !may(own.action) ? (linked()[0] ?? own) : own, of: "" };
    const any = SCREENS.find((screen) => screen.path === "*");
    return any && !path.startsWith("/") ? { screen: any, of: path } : undefined;
}

export function titleOf({ title }: Screen): string {
    return t.screens[title];
}
