// The page for those who use the keyboard, a screen reader, a phone, bright light, or write from right to left. The edge is
// inside the page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { serve } from "../lib/serve.mjs";
import { tell } from "./fake-edge.mjs";
import { by, connected, crowd, DIST, fits, judged, lively, opened as open, PHONE, pictured } from "./page.mjs";

let site;
let browser;

before(async () => {
  site = await serve(DIST);
  browser = await launch();
});

after(async () => {
  await browser.close();
  await site.close();
});

const opened = ({ from = browser, ...options } = {}) => open(from, site, options);

test("the form", async () => {
  const page = await opened({ query: "?name=Grace" });
  await page.waitForSelector('[data-testid=preview][data-camera="live"]');
  await pictured(page, `${by("preview")} video`);
  await judged(page, "lobby");
  await page.setViewportSize(PHONE);
  await judged(page, "lobby-phone", { light: false });
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("the form when everything is refused", async () => {
  const strict = await launch({ denyMedia: true });
  const page = await opened({ query: "?name=Grace", from: strict, media: null });
  await page.waitForSelector('[data-testid=error][data-code="permission"]');
  await judged(page, "lobby-denied", { light: false });
  await strict.close();
});

test("a meeting with everything open", async () => {
  const page = await opened();
  await connected(page);
  await crowd(page);
  await page.waitForSelector(by("member-30"));
  await lively(page);
  await judged(page, "meeting");
  await page.keyboard.press("i");
  await page.waitForSelector(by("stats"));
  await page.waitForSelector(by("stats-main-0"));
  await judged(page, "statistics", { light: false });
  await page.keyboard.press("i");
  await page.keyboard.press("g");
  await page.waitForSelector(by("gallery"));
  await judged(page, "gallery-of-initials", { light: false });
  await page.keyboard.press("g");
  for (const [key, id] of [["?", "shortcuts"], [undefined, "settings"]]) {
    if (key) await page.keyboard.press(key);
    else await page.click(by("open-settings"));
    await page.waitForSelector(by(id));
    await judged(page, id);
    await page.keyboard.press("Escape");
    await page.waitForSelector(by(id), { state: "detached" });
  }
  await page.click(by("leave"));
  await page.waitForSelector(by("ended"));
  await judged(page, "left", { light: false });
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("a phone", async () => {
  const page = await opened({ size: PHONE });
  await connected(page);
  await crowd(page);
  await lively(page);
  await judged(page, "phone", { light: false });
  await page.click(by("toggle-view"));
  await page.waitForSelector(by("gallery"));
  await judged(page, "phone-gallery", { light: false });
  await page.click(by("toggle-roster"));
  await page.waitForSelector(by("roster"));
  await judged(page, "phone-people", { light: false });
  assert.ok(await fits(page), "nothing sticks out sideways");
  await page.close();
});

test("from right to left", async () => {
  const page = await opened({ query: "?name=Grace&autojoin=1&lang=ar" });
  await connected(page);
  await crowd(page);
  assert.deepEqual(await page.evaluate(() => [document.documentElement.dir, document.documentElement.lang]), ["rtl", "ar"]);
  await page.waitForSelector(by("member-30"));
  const box = async (id) => (await page.locator(by(id)).first().boundingBox()).x;
  assert.ok((await box("roster")) < (await box("main-tile")), "the list stands on the left");
  assert.ok((await box("leave")) < (await box("mute-mic")), "the first button is the rightmost");
  await lively(page);
  await judged(page, "arabic");
  await page.click(by("open-settings"));
  await page.selectOption(by("language"), "en");
  assert.equal(await page.evaluate(() => document.documentElement.dir), "ltr");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dir), "rtl", "the address says it again");
  await page.close();
});

test("the keyboard reaches everything and gives the focus back", async () => {
  const page = await opened();
  await connected(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-testid") ?? document.activeElement?.tagName);
  const seen = new Set();
  for (let i = 0; i < 34; i += 1) {
    await page.keyboard.press("Tab");
    seen.add(await focused());
  }
  for (const id of ["toggle-stats", "open-shortcuts", "open-settings", "pin-7", "search-people", "people-list", "mute-mic", "mute-camera",
    "share-screen", "raise-hand", "toggle-view", "toggle-roster", "toggle-chat", "menu-7", "leave"]) assert.ok(seen.has(id), `Tab reaches ${id}: ${[...seen]}`);
  await page.focus(by("open-settings"));
  await page.keyboard.press("Enter");
  await page.waitForSelector(by("settings"));
  assert.ok(await page.evaluate(() => document.querySelector("dialog").contains(document.activeElement)), "the dialog has the focus");
  await page.keyboard.press("m");
  assert.equal(await page.evaluate(() => window.mesh.meeting.isMuted("mic")), false, "no shortcut behind a dialog");
  await page.keyboard.press("Escape");
  await page.waitForSelector(by("settings"), { state: "detached" });
  assert.equal(await focused(), "open-settings");
  await page.focus(by("pin-7"));
  await page.keyboard.press("Enter");
  await page.waitForSelector('[data-testid=pin-7][aria-pressed="true"]');
  await page.focus(by("search-people"));
  await page.keyboard.type("vgm");
  assert.equal(await page.evaluate(() => window.mesh.meeting.isMuted("mic") || window.mesh.meeting.isMuted("camera")), false, "typing is typing");
  await page.close();
});

test("shortcuts do what the list says, can be switched off, and are told", async () => {
  const page = await opened();
  await connected(page);
  const said = (text) => page.waitForFunction(
    (wanted) => document.querySelector("[data-testid=announcer]").textContent.includes(wanted), text, { timeout: 5_000 });
  await page.keyboard.press("m");
  await said("Microphone off");
  await page.keyboard.press("v");
  await said("Camera off");
  await page.keyboard.press("g");
  await page.waitForSelector(by("gallery"));
  await said("Gallery");
  await page.keyboard.press("p");
  await page.waitForSelector(by("roster"), { state: "detached" });
  await page.keyboard.press("i");
  await page.waitForSelector(by("stats"));
  await page.keyboard.press("Escape");
  await page.waitForSelector(by("stats"), { state: "detached" });
  await crowd(page);
  await said("11 people joined");
  await tell(page, { type: "roster", seq: 3, snapshot: false, put: [], removed: [21] });
  await said("Katherine Johnson left");
  await page.click(by("open-settings"));
  await page.uncheck(by("use-keys"));
  await page.keyboard.press("Escape");
  await page.keyboard.press("m");
  await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await page.evaluate(() => window.mesh.meeting.isMuted("mic")), true, "m does nothing now");
  await page.close();
});

test("colours follow the system until a person chooses, and are remembered", async () => {
  const page = await opened({ query: "?name=Grace" });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForSelector("html[data-theme=light]");
  await page.selectOption(by("theme"), "dark");
  assert.equal(await theme(), "dark");
  await page.reload();
  assert.equal(await theme(), "dark");
  await page.selectOption(by("theme"), "system");
  assert.equal(await theme(), "light");
  await page.close();
});
