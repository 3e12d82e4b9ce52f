// Chat, hands, what hosts do, waiting and watching: the page alone, with an edge inside it that does what it is told.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { serve } from "../lib/serve.mjs";
import { admit, invitation, sent, tell } from "./fake-edge.mjs";
import { by, connected, crowd, DIST, fits, judged, lively, opened as open, PHONE } from "./page.mjs";

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

const opened = (options) => open(browser, site, options);
const gone = (page, id) => page.waitForSelector(by(id), { state: "detached" });
const actions = async (page) => (await sent(page, "host")).map(({ action }) => action);
const ADA = { from: 7, name: "Ada Lovelace" };
const AT_MS = Date.UTC(2026, 10, 21, 9, 41);

/** A conversation: to all, privately, with markup and an address in it. */
const conversation = (page) => tell(page, {
  type: "chat",
  messages: [
    { key: 1, atMs: AT_MS, ...ADA, text: "Good morning, everybody." },
    { key: 2, atMs: AT_MS + 9_000, from: 22, name: "Edsger Dijkstra", text: "Slides: <a href='https://example.org/'>https://example.org/slides</a>" },
    { key: 3, atMs: AT_MS + 70_000, ...ADA, to: 0x100001, text: "Only for you: shall I begin?" },
  ],
});

test("chat: read, write to all and to one, and never a link", async () => {
  const page = await opened();
  await connected(page);
  await crowd(page);
  await lively(page);
  await conversation(page);
  await page.waitForFunction((s) => document.querySelector(s)?.textContent === "3", by("unread"));
  await page.keyboard.press("c");
  await page.waitForSelector(by("chat"));
  await gone(page, "unread");
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-testid"));
  assert.deepEqual([await focused(), await page.inputValue(by("chat-text"))], ["chat-text", ""], "ready to write");
  await page.keyboard.press("Escape");
  await gone(page, "chat");
  assert.equal(await focused(), "toggle-chat", "and back");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(`${by("chat")} a`).count(), 0, "text only");
  assert.match(await page.locator(by("chat-message")).nth(1).textContent(), /<a href='https:\/\/example\.org\/'>/);
  await page.fill(by("chat-text"), "Good morning!");
  await page.keyboard.press("Enter");
  await page.selectOption(by("chat-to"), "7");
  await page.fill(by("chat-text"), "Please do.\nWe are all here.");
  await page.click(by("chat-send"));
  await page.waitForFunction((s) => document.querySelectorAll(s).length === 5, by("chat-message"));
  const texts = (await sent(page, "chat")).map(({ to, text }) => ({ to, text }));
  assert.deepEqual(texts, [{ to: undefined, text: "Good morning!" }, { to: 7, text: "Please do.\nWe are all here." }]);
  const privates = await page.locator(by("chat-message")).evaluateAll((all) => all.map((one) => one.dataset.private));
  assert.deepEqual(privates, ["false", "false", "true", "false", "true"]);
  assert.equal(await page.inputValue(by("chat-text")), "");
  await judged(page, "chat");
  await page.setViewportSize(PHONE);
  await judged(page, "phone-chat", { light: false });
  assert.ok(await fits(page), "nothing sticks out sideways");
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("chat that is locked says so, and what is refused is given back", async () => {
  const page = await opened();
  await connected(page);
  await page.keyboard.press("c");
  await page.evaluate(() => (window.__edge.sockets.at(-1).place = () => {}));
  await page.fill(by("chat-text"), "One more thing");
  await page.keyboard.press("Enter");
  await tell(page, { type: "error", code: "forbidden", message: "only hosts may write now", fatal: false });
  assert.equal((await page.textContent(by("chat-error"))).trim(), "Only hosts may write now.");
  assert.equal(await page.inputValue(by("chat-text")), "One more thing");
  await tell(page, { type: "settings", locked: false, waitingRoom: false, chatLocked: true, pinnedShare: null });
  await page.waitForSelector(by("chat-refused"));
  await judged(page, "chat-locked", { light: false });
  await page.close();
});

test("a hand goes up, stands first in the list, and is lowered by a host", async () => {
  const page = await opened();
  await connected(page);
  await crowd(page);
  const first = page.locator(`${by("roster")} > li`).first();
  assert.match(await first.textContent(), /Margaret Hamilton/, "the hand that was raised first");
  await page.click(by("raise-hand"));
  const self = await page.evaluate(() => window.mesh.meeting.participantId);
  const own = (hand) => tell(page, {
    type: "roster", seq: 5, snapshot: false, removed: [],
    put: [{ id: self, name: "Grace", edge: 1, micMuted: false, cameraOff: false, role: "panelist", ...hand }],
  });
  await own({ hand: 12 });
  await page.waitForSelector(by(`hand-${self}`));
  await page.waitForSelector(`${by("self-tile")} ${by("hand-badge")}`);
  await page.waitForSelector(`${by("raise-hand")}[aria-pressed=true]`);
  await lively(page);
  await judged(page, "hand-raised");
  await own({});
  await page.waitForSelector(`${by("raise-hand")}[aria-pressed=false]`);
  assert.deepEqual((await sent(page, "hand")).map(({ raised }) => raised), [true]);
  await page.close();
});

test("a host's menus say what they do", async () => {
  const page = await opened({ edge: { role: "host" } });
  await connected(page);
  await crowd(page);
  await lively(page);
  await tell(page, { type: "knocking", people: [{ id: 91, name: "Mary Shaw" }, { id: 92, name: "" }], total: 5 });
  await page.click(by("open-meeting-menu"));
  await judged(page, "host-panel");
  await page.click(by("mute-all"));
  await page.click(by("mute-all-but-hosts"));
  await page.click(by("lower-all-hands"));
  await page.check(by("set-locked"));
  await page.check(by("set-waiting-room"));
  await page.check(by("set-chat-locked"));
  await page.click(by("admit-91"));
  await page.click(by("deny-92"));
  await page.click(by("admit-all"));
  assert.deepEqual(await actions(page), [
    { do: "muteAll", butHosts: false }, { do: "muteAll", butHosts: true }, { do: "lowerHand" }, { do: "lock", on: true },
    { do: "waitingRoom", on: true }, { do: "lockChat", on: true }, { do: "admit", target: 91 }, { do: "deny", target: 92 }, { do: "admit" },
  ]);
  await tell(page, { type: "knocking", people: [], total: 0 });
  await gone(page, "waiting-list");
  await page.close();
});

test("a host's menu of one person, by keyboard", async () => {
  const page = await opened({ edge: { role: "host" } });
  await connected(page);
  await crowd(page);
  await lively(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("data-testid"));
  const before = (await actions(page)).length;
  for (const item of ["do-mute-mic", "do-lower-hand", "do-role-host", "do-role-attendee"]) {
    await page.focus(by("menu-22"));
    await page.keyboard.press("Enter");
    await page.waitForSelector(by("person-menu"));
    assert.equal(await focused(), "do-write", "the first entry has the focus");
    await page.focus(by(item));
    await page.keyboard.press("Enter");
    await gone(page, "person-menu");
    assert.equal(await focused(), "menu-22", "and gives it back");
  }
  await page.click(by("menu-22"));
  await judged(page, "person-menu");
  await page.click(by("do-remove"));
  await page.waitForSelector(by("confirm-block"));
  await judged(page, "person-remove", { light: false });
  await page.keyboard.press("Escape");
  await page.waitForSelector(by("do-remove"));
  await page.click(by("do-remove"));
  await page.click(by("confirm-block"));
  await page.click(by("menu-22"));
  await page.click(by("do-hand-over"));
  await page.click(by("confirm-hand-over"));
  assert.deepEqual((await actions(page)).slice(before), [
    { do: "mute", target: 22, kind: "mic" }, { do: "lowerHand", target: 22 }, { do: "setRole", target: 22, role: "host" },
    { do: "setRole", target: 22, role: "attendee" }, { do: "remove", target: 22, block: true }, { do: "handOver", target: 22 },
  ]);
  await tell(page, { type: "role", role: "panelist" });
  await page.waitForSelector(by("notice-role"));
  await page.click(by("reclaim"));
  assert.deepEqual((await actions(page)).at(-1), { do: "reclaim" });
  await page.close();
});

test("what hosts do to oneself is told, and who waits too", async () => {
  const page = await opened({ edge: { role: "host" } });
  await connected(page);
  await crowd(page);
  await tell(page, { type: "muted", kind: "mic", by: 7 });
  await tell(page, { type: "muted", kind: "camera", by: 7 });
  await page.waitForFunction((s) => document.querySelector(s)?.textContent.includes("Ada Lovelace muted your microphone."), by("notice-mic"));
  assert.equal(await page.evaluate(() => window.mesh.meeting.isMuted("mic") && window.mesh.meeting.isMuted("camera")), true);
  await page.keyboard.press("p");
  await tell(page, { type: "knocking", people: [{ id: 91, name: "Mary Shaw" }], total: 1 });
  await page.waitForSelector(by("knock-notice"));
  await lively(page);
  await judged(page, "notices");
  await page.click(by("mute-mic"));
  await gone(page, "notice-mic");
  await page.click(by("dismiss-camera"));
  await gone(page, "notice-camera");
  await page.click(by("show-waiting"));
  await page.waitForSelector(by("knocker-91"));
  await page.close();
});

test("an attendee: no devices, no own picture, and a promotion", async () => {
  const token = invitation({ publish: false });
  const form = await opened({ query: "?name=Grace", token });
  await form.waitForSelector(by("attendee-note"));
  assert.equal(await form.locator(by("preview")).count(), 0);
  await judged(form, "lobby-attendee");
  await form.close();
  const page = await opened({ token, edge: { role: "attendee" } });
  await connected(page);
  for (const id of ["mute-mic", "mute-camera", "share-screen", "self-tile"]) assert.equal(await page.locator(by(id)).count(), 0, id);
  await tell(page, {
    type: "roster", seq: 3, snapshot: true, attendees: 250, removed: [],
    put: [{ id: 7, name: "Ada Lovelace", edge: 1, micMuted: false, cameraOff: false, role: "host" }],
  });
  assert.equal((await page.textContent(by("attendee-count"))).trim(), "250 attendees");
  await page.click(by("show-attendees"));
  await page.waitForFunction(() => window.__edge.sent.some(({ type }) => type === "rosterPage"));
  const members = ["Shafi Goldwasser", "Jon Postel"].map((name, i) => {
    return { id: 300 + i, name, edge: 1, micMuted: true, cameraOff: true, role: "attendee" };
  });
  await tell(page, { type: "rosterPage", members, next: 301 });
  await page.waitForSelector(by("member-301"));
  await judged(page, "attendee");
  await page.click(by("more-attendees"));
  await tell(page, { type: "rosterPage", members: [{ ...members[0], id: 302, name: "Niklaus Wirth" }] });
  await page.waitForSelector(by("member-302"));
  await gone(page, "more-attendees");
  await page.fill(by("search-people"), "post");
  await page.waitForFunction(() => window.__edge.sent.filter(({ type }) => type === "rosterPage").length === 3);
  assert.deepEqual((await sent(page, "rosterPage")).map(({ after, search }) => [after, search]), [[undefined, undefined], [301, undefined], [undefined, "post"]]);
  await tell(page, { type: "rosterPage", members: [members[1]] });
  await gone(page, "member-302");
  await page.fill(by("search-people"), "");
  await tell(page, { type: "role", role: "panelist" });
  await page.waitForSelector(by("turn-on-mic"));
  const [offer] = await sent(page, "renegotiate");
  assert.deepEqual(offer.publish.map(({ kind }) => kind), ["mic", "camera"]);
  await judged(page, "promoted", { light: false });
  await page.click(by("turn-on-mic"));
  await page.waitForFunction(() => !window.mesh.meeting.isMuted("mic"));
  await page.click(by("turn-on-camera"));
  await page.waitForSelector(`${by("self-tile")} video`);
  await tell(page, { type: "role", role: "attendee" });
  await gone(page, "self-tile");
  assert.equal(await page.evaluate(() => window.mesh.meeting.localStream.getTracks().length), 0, "the devices are let go");
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("waiting to be let in: told, left, and ended by a host", async () => {
  const page = await opened({ edge: { waits: true } });
  await page.waitForSelector(by("waiting"));
  await judged(page, "waiting");
  await page.click(by("give-up"));
  await page.waitForSelector(by("join-button"));
  assert.equal((await sent(page, "leave")).length, 1);
  assert.equal(await page.locator(by("error")).count(), 0, "whoever gave up knows");
  await page.waitForSelector('[data-testid=preview][data-camera="live"]');
  await page.click(by("join-button"));
  await page.waitForSelector(by("waiting"));
  await admit(page);
  await connected(page);
  await page.close();
});

test("from right to left, on a phone", async () => {
  const page = await opened({ query: "?name=Grace&autojoin=1&lang=ar", edge: { role: "host" } });
  await connected(page);
  await crowd(page);
  await tell(page, { type: "knocking", people: [{ id: 91, name: "Mary Shaw" }], total: 1 });
  await page.click(by("menu-22"));
  await lively(page);
  await judged(page, "arabic-host", { light: false });
  await page.setViewportSize(PHONE);
  await judged(page, "arabic-phone-host", { light: false });
  await page.keyboard.press("Escape");
  await page.click(by("toggle-chat"));
  await conversation(page);
  await judged(page, "arabic-phone-chat", { light: false });
  assert.ok(await fits(page), "nothing sticks out sideways");
  await page.setViewportSize({ width: 340, height: 640 });
  assert.ok(await fits(page), "nor on a very small one");
  await page.close();
});
