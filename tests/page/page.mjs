// A browser on a leash: Debian's chromium, driven by tests/page/browser.py. One JSON command a line on stdin, one JSON answer a line on stdout.
//
//   {"tab": NAME, "do": "goto", "with": [URL]}  ->  {"value": ...} or {"failed": TEXT}
//
// A tab is opened when it is first named.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const TIMEOUT_MS = 30_000;
const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
const tabs = new Map();

async function open(name) {
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const tab = { page, errors: [] };
    page.on("console", (message) => message.type() === "error" && tab.errors.push(message.text()));
    page.on("pageerror", (error) => tab.errors.push(String(error)));
    page.on("dialog", (dialog) => dialog.accept());
    tabs.set(name, tab);
    return tab;
}

const commands = {
    goto: ({ page }, url) => page.goto(url).then(() => null),
    evaluate: ({ page }, script) => page.evaluate(script),
    click: ({ page }, selector) => page.locator(selector).first().click(),
    fill: ({ page }, selector, text) => page.locator(selector).first().fill(text),
    select: ({ page }, selector, value) => page.locator(selector).first().selectOption(value),
    press: ({ page }, key) => page.keyboard.press(key),
    wheel: async ({ page }, selector, by) => {
        await page.locator(selector).first().hover();
        await page.mouse.wheel(0, by);
    },
    drag: async ({ page }, selector, by, button) => {
        const box = await page.locator(selector).first().boundingBox();
        await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
        await page.mouse.down({ button });
        await page.mouse.move(box.x + box.width / 2 + by[0], box.y + box.height / 2 + by[1], { steps: 4 });
        await page.mouse.up({ button });
    },
    resize: ({ page }, width, height) => page.setViewportSize({ width, height }),
    screenshot: ({ page }, path) => page.screenshot({ path }).then(() => null),
    errors: async ({ errors }) => errors.splice(0),
    close: async ({ page }) => page.close(),
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
