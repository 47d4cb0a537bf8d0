// The page in a real browser: the list comes live, a click opens the study, the mask lies over the bleed, a judgement is stored.
//
//   node tests/page/page.mjs URL STUDY SCREENSHOT_FOLDER
//
// Prints one JSON line of what it saw; tests/outside/test_way.py asserts on it. Uses playwright-core of ui/ and Debian's chromium.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const [url, study, folder] = process.argv.slice(2);

const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const seen = { errors: [] };
try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
    page.on("pageerror", (error) => seen.errors.push(String(error)));
    await page.goto(url);
    await page.waitForSelector(".live:text('live')");
    await page.waitForSelector(`tr[data-study="${study}"]`, { timeout: 60000 });
    await page.waitForFunction((uid) => document.querySelector("tbody tr.stat")?.dataset.study === uid, study, { timeout: 60000 });
    seen.first = await page.locator("tbody tr").first().getAttribute("data-study");
    seen.urgency = await page.locator("tbody tr").first().locator("td").first().textContent();
    seen.reason = await page.locator("tbody tr").first().locator("td").last().textContent();
    await page.screenshot({ path: `${folder}/list.png` });

    await page.locator("tbody tr").first().locator("a").click();
    await page.waitForSelector(".finding");
    await page.waitForFunction(() => Number(document.querySelector("canvas")?.dataset.slice ?? -1) >= 0, null, { timeout: 30000 });
    await page.waitForTimeout(1500); // the mask's frames
    // Pixels that are redder than grey are the mask.
    seen.maskPixels = await page.evaluate(() => {
        const canvas = document.querySelector("canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] > data[i + 1] + 40) count++;
        return count;
    });
    seen.sentence = await page.locator(".finding .sentence").first().textContent();
    seen.label = await page.locator(".finding .label").first().textContent();
    await page.screenshot({ path: `${folder}/study.png` });
    const before = await page.locator("canvas").getAttribute("data-slice");
    await page.locator("canvas").hover();
    await page.mouse.wheel(0, 100);
    await page.waitForFunction((old) => document.querySelector("canvas").dataset.slice !== old, before);
    seen.scrolled = Number(await page.locator("canvas").getAttribute("data-slice")) - Number(before);
    await page.getByRole("button", { name: "Bone" }).click();

    await page.getByLabel("Your name").first().fill("Dr Test");
    await page.getByRole("button", { name: "Accept" }).first().click();
    await page.waitForSelector(".judged");
    seen.judged = await page.locator(".judged").first().textContent();
    await page.screenshot({ path: `${folder}/judged.png` });
} catch (error) {
    seen.failed = String(error);
} finally {
    await browser.close();
}
console.log(JSON.stringify(seen));
process.exit(seen.failed ? 1 : 0);
