// A browser on a leash: Debian's chromium, driven by tests/page/browser.py. One JSON command a line on stdin, one JSON answer a line on stdout.
//
//   {"tab": NAME, "do": "goto", "with": [URL]}  ->  {"value": ...} or {"failed": TEXT}
//
// A tab is opened when it is first named. One that is closed is emptied and used again, for a new one costs a process.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const TIMEOUT_MS = 30_000;
const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const VIEWPORT = { width: 1280, height: 720 };
const context = await browser.newContext({ viewport: VIEWPORT });
const tabs = new Map();
const spare = [];

async function open(name) {
    const tab = spare.pop() ?? (await make());
    tabs.set(name, tab);
    return tab;
}

async function make() {
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const tab = { page, errors: [] };
    page.on("console", (message) => message.type() === "error" && tab.errors.push(message.text() + " " + message.location().url));
    page.on("pageerror", (error) => tab.errors.push(String(error)));
    page.on("dialog", (dialog) => (tab.onAsked ? tab.onAsked(dialog) : dialog.accept()));
    return tab;
}

async function close(tab) {
    await tab.page.goto("about:blank");
    await tab.page.setViewportSize(VIEWPORT);
    tab.errors.length = 0;
    spare.push(tab);
}

// Where a mouse is moved: a tab behind another draws nothing, and each movement would wait a second for it.
async function front(page, selector) {
    await page.bringToFront();
    return page.locator(selector).first();
}

const commands = {
    goto: ({ page }, url) => page.goto(url).then(() => null),
    evaluate: ({ page }, script) => page.evaluate(script),
    click: async ({ page }, selector) => (await front(page, selector)).click(),
    // A click that makes the page ask: its words. The question stands until it is accepted.
    ask: async (tab, selector) => {
        const asked = new Promise((resolve) => (tab.onAsked = resolve));
        tab.clicked = (await front(tab.page, selector)).click();
        tab.question = await asked;
        tab.onAsked = undefined;
        return tab.question.message();
    },
    accept: async (tab) => {
        await tab.question.accept();
        await tab.clicked;
    },
    fill: ({ page }, selector, text) => page.locator(selector).first().fill(text),
    select: ({ page }, selector, value) => page.locator(selector).first().selectOption(value),
    press: ({ page }, key) => page.keyboard.press(key),
    wheel: async ({ page }, selector, by) => {
        await (await front(page, selector)).hover();
        await page.mouse.wheel(0, by);
    },
    drag: async ({ page }, selector, by, button) => {
        const box = await (await front(page, selector)).boundingBox();
        await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
        await page.mouse.down({ button });
        await page.mouse.move(box.x + box.width / 2 + by[0], box.y + box.height / 2 + by[1], { steps: 4 });
        await page.mouse.up({ button });
    },
    resize: ({ page }, width, height) => page.setViewportSize({ width, height }),
    screenshot: ({ page }, path) => page.screenshot({ path }).then(() => null),
    errors: async ({ errors }) => errors.splice(0),
    close: (tab) => close(tab),
};

for await (const line of createInterface({ input: process.stdin })) {
    const { tab: name, do: what, with: values } = JSON.parse(line);
    let answer;
    try {
        answer = { value: (await commands[what](tabs.get(name) ?? (await open(name)), ...values)) ?? null };
    } catch (error) {
        answer = { failed: String(error) };
    }
    if (what === "close") tabs.delete(name);
    process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
