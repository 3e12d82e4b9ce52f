// Every button of the page, pressed as a person does, and its effect in another browser.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { linkWith, participant, untilConnected } from "../lib/participant.mjs";
import { untilColour, watchVideo } from "../lib/probe.mjs";
import { SHOTS } from "../lib/shots.mjs";

let mesh;
let near;
let far;

before(async () => {
  mesh = await startMesh();
  near = await launch({ args: ["--use-fake-device-for-media-stream=device-count=2"] });
  far = await launch();
});

after(async () => {
  await near?.close();
  await far?.close();
  await mesh?.stop();
});

const by = (id) => `[data-testid=${id}]`;
const says = (page, id, wanted, timeout = 10_000) =>
  page.waitForFunction(([i, w]) => document.querySelector(`[data-testid=${i}]`)?.textContent.includes(w), [id, wanted], { timeout });
const gone = (page, id, timeout = 10_000) => page.waitForSelector(by(id), { state: "detached", timeout });
const silent = { turns: [], portrait: true };

test("the form: preview, level, choices, and what is remembered", { timeout: 90_000 }, async () => {
  const meeting = await mesh.meeting();
  const link = mesh.linkOf(meeting, "us-east-1");
  const lin = await participant(far, mesh.linkOf(meeting, "eu-west-1"), { name: "Lin", colour: "blue", media: silent });
  const page = await near.newPage();
  await page.goto(linkWith(link, { processing: 0 }));
  await page.waitForSelector('[data-testid=preview][data-camera="live"][data-mic="live"]', { timeout: 10_000 });
  await page.waitForFunction(() => Number(document.querySelector("[data-testid=mic-level]").getAttribute("aria-valuenow")) > 3);
  await page.fill(by("join-name"), "Ada Lovelace");
  const cameras = await page.locator(`${by("choose-camera")} option`).allTextContents();
  assert.ok(cameras.length >= 2, `two cameras to choose from: ${cameras}`);
  const other = await page.locator(`${by("choose-camera")} option`).nth(1).getAttribute("value");
  await page.selectOption(by("choose-camera"), other);
  await page.waitForSelector('[data-testid=preview][data-camera="live"]');
  await page.click(by("preview-mic"));
  await page.waitForSelector('[data-testid=preview][data-mic="off"]');
  await page.click(by("join-button"));
  await untilConnected(page);
  const id = await page.evaluate(() => window.mesh.meeting.participantId);
  await says(lin.page, `member-${id}`, "Ada Lovelace");
  await says(lin.page, `member-${id}`, "muted");
  const used = () => page.evaluate(() => window.mesh.meeting.localStream.getVideoTracks()[0]?.getSettings().deviceId);
  assert.equal(await used(), other, "the chosen camera");
  // In the meeting: another camera, and the microphone that was off.
  await page.click(by("open-settings"));
  const first = await page.locator(`${by("use-camera")} option`).first().getAttribute("value");
  await page.selectOption(by("use-camera"), first);
  await page.waitForFunction((wanted) => window.mesh.meeting.localStream.getVideoTracks()[0]?.getSettings().deviceId === wanted, first);
  await page.click(by("close-dialog"));
  // Chromium's second fake camera has 16 bits of grey, which nobody encodes: only the first one is seen by others.
  await lin.page.waitForSelector(`${by("main-tile")} video`);
  await page.click(by("mute-mic"));
  await lin.page.waitForFunction((i) => !document.querySelector(`[data-testid=member-${i}]`).textContent.includes("muted"), id);
  const decoded = () => lin.page.evaluate(async () => (await window.mesh.meeting.stats()).slots.find(({ key }) => key === "main-0").framesDecoded);
  const before = await decoded();
  await lin.page.waitForTimeout(1_000);
  assert.ok((await decoded()) > before, "the picture goes on");
  await page.click(by("mute-camera"));
  await page.click(by("leave"));
  await page.click(by("back"));
  await page.waitForSelector('[data-testid=preview][data-camera="off"][data-mic="live"]');
  assert.equal(await page.inputValue(by("join-name")), "Ada Lovelace");
  await page.reload();
  await page.waitForSelector('[data-testid=preview][data-camera="off"][data-mic="live"]');
  await page.click(by("preview-camera"));
  await page.waitForSelector('[data-testid=preview][data-camera="live"]');
  assert.equal(await page.inputValue(by("choose-camera")), first, "the camera is remembered");
  assert.deepEqual([page.problems, lin.page.problems], [[], []]);
  await page.close();
  await lin.close();
});

test("a device that is missing is named, and the other one is used", { timeout: 40_000 }, async () => {
  const meeting = await mesh.meeting();
  const lin = await participant(far, mesh.linkOf(meeting, "eu-west-1"), { name: "Lin", colour: "blue", media: silent });
  const page = await near.newPage();
  await page.addInitScript(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wanted) =>
      wanted.video ? Promise.reject(new DOMException("Requested device not found", "NotFoundError")) : real(wanted);
  });
  await page.goto(linkWith(mesh.linkOf(meeting, "us-east-1"), { name: "Ada" }));
  await says(page, "error", "No camera was found");
  await page.waitForSelector('[data-testid=preview][data-camera="failed"][data-mic="live"]');
  await page.screenshot({ path: join(SHOTS, "no-camera.png") });
  await page.click(by("join-button"));
  await untilConnected(page);
  const id = await page.evaluate(() => window.mesh.meeting.participantId);
  await says(lin.page, `member-${id}`, "no camera");
  await page.click(by("mute-camera"));
  await says(page, "error", "No camera was found. Connect one and try again.");
  await page.close();
  await lin.close();
});

test("in the meeting: pin, views, share, search, statistics, leave and rejoin", { timeout: 180_000 }, async () => {
  const meeting = await mesh.meeting();
  const join_ = (browser, name, colour, region, media) =>
    participant(browser, mesh.linkOf(meeting, region), { name, colour, media: { portrait: true, ...media } });
  const ada = await join_(near, "Ada Lovelace", "red", "us-east-1", { screen: "yellow" });
  const eva = await join_(near, "Eva Zuse", "green", "eu-west-1", { turns: [], screen: "magenta" });
  const lin = await join_(far, "Lin Wei", "blue", "ap-southeast-1", { turns: [] });
  const [adaId, evaId] = [await ada.id(), await eva.id()];
  const { page } = lin;

  // The speaker, the ring around her, bars.
  await lin.untilMain("red", 20_000);
  await page.waitForSelector('[data-testid=main-tile][data-speaking="true"]');
  await page.waitForSelector(`${by("main-tile")} .bars`);
  await page.waitForSelector(by("own-quality"));
  await page.waitForSelector(`${by(`tile-${evaId}`)} video`);
  await page.mouse.move(0, 0);
  await lin.shot(join(SHOTS, "speaker-view.png"));

  // A pin holds against the speaker.
  await page.hover(by(`tile-${evaId}`));
  await page.click(by(`pin-${evaId}`));
  await lin.untilMain("green");
  await says(page, "main-name", "Eva Zuse");
  await page.waitForSelector(`${by(`pin-${evaId}`)}[aria-pressed="true"]`);
  await page.click(by(`pin-${evaId}`));
  await lin.untilMain("red");

  // Sharing: seen by the others; the newest wins; the older one comes back.
  await watchVideo(page, `${by("screen-tile")} video`, "screen");
  await ada.page.click(by("share-screen"));
  await untilColour(page, "screen", "yellow", 15_000);
  await says(page, "screen-tile", "Ada Lovelace shares a screen");
  await ada.page.waitForSelector(by("share-bar"));
  await ada.shot(join(SHOTS, "sharing.png"));
  await ada.page.check(by("hint-motion"));
  const hint = () => ada.page.evaluate(() => window.mesh.meeting.pc.getSenders().map(({ track }) => track?.contentHint).at(-1));
  assert.equal(await hint(), "motion");
  await page.waitForTimeout(700);
  await page.mouse.move(0, 0);
  await lin.shot(join(SHOTS, "shared-screen.png"));
  await eva.page.click(by("share-screen"));
  await untilColour(page, "screen", "magenta", 15_000);
  await eva.page.click(by("share-screen"));
  await untilColour(page, "screen", "yellow", 15_000);
  await ada.page.click(by("share-screen"));
  await gone(page, "screen-tile");

  // Gallery and back.
  await page.click(by("toggle-view"));
  await page.waitForSelector(by("gallery"));
  for (const [id, colour] of [[adaId, "red"], [evaId, "green"]]) {
    await watchVideo(page, `${by(`tile-${id}`)} video`, `tile-${id}`);
    await untilColour(page, `tile-${id}`, colour);
  }
  await page.mouse.move(0, 0);
  await lin.shot(join(SHOTS, "gallery.png"));
  await page.click(by("toggle-view"));
  await gone(page, "gallery");

  // The list of people.
  if (!(await page.isVisible(by("roster")))) await page.click(by("toggle-roster"));
  await page.fill(by("search-people"), "zuse");
  assert.equal(await page.locator(`${by("roster")} li`).count(), 1);
  await page.fill(by("search-people"), "nobody");
  await page.waitForSelector(by("nobody-found"));
  await page.click(by("close-roster"));
  await gone(page, "roster");

  // Statistics with figures in them.
  await page.click(by("toggle-stats"));
  await page.waitForFunction(() => {
    const row = document.querySelector("[data-testid=stats-main-0]");
    const [what, rate, encoding, loss, buffer] = [...(row?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent);
    return what === "main" && Number(rate) > 5 && /^VP8 .*\d+×\d+ \d+\/s$/.test(encoding) && /%$/.test(loss) && /^\d+ ms$/.test(buffer);
  }, undefined, { timeout: 10_000 });
  assert.match(await page.textContent(by("stats-rtt")), /^\d+ ms$/);
  assert.match(await page.textContent(by("stats-audio-0")), /Ada Lovelace.*opus/s);
  await lin.shot(join(SHOTS, "statistics.png"));
  await page.click(by("close-stats"));
  await gone(page, "stats");

  // Leaving, and coming back as one was.
  await ada.page.click(by("mute-camera"));
  await ada.leave();
  await page.waitForFunction((i) => !document.querySelector(`figure[data-participant="${i}"]`), adaId);
  await ada.page.click(by("rejoin"));
  await untilConnected(ada.page);
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  await page.click(by("toggle-roster"));
  const again = await ada.id();
  await says(page, `member-${again}`, "Ada Lovelace");
  await says(page, `member-${again}`, "no camera");
  for (const each of [ada, eva, lin]) assert.deepEqual(each.page.problems, [], each.name);
  for (const each of [ada, eva, lin]) await each.close();
});

test("nothing is asked of anybody but the mesh", { timeout: 40_000 }, async () => {
  const link = new URL(mesh.link("us-east-1"));
  const page = await near.newPage();
  const hosts = new Set();
  page.on("request", (request) => hosts.add(new URL(request.url()).origin));
  page.on("websocket", (socket) => hosts.add(new URL(socket.url()).origin.replace("ws", "http")));
  const answer = await page.goto(linkWith(link.href, { name: "Ada", autojoin: 1 }));
  await untilConnected(page);
  assert.deepEqual([...hosts], [link.origin]);
  const connect = answer.headers()["content-security-policy"].split("; ").find((rule) => rule.startsWith("connect-src")).split(" ").slice(1);
  const edges = mesh.nodes.filter(({ name, url }) => name.includes("-edge-") && url !== link.origin).map(({ url }) => url);
  assert.ok(edges.length >= 2, JSON.stringify(mesh.nodes));
  assert.deepEqual(connect.filter((source) => source.startsWith("http")).sort(), edges.sort());
  const stranger = await page.evaluate(async () => {
    const blocked = new Promise((done) => document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective)));
    fetch("http://127.0.0.1:9/").catch(() => {});
    return blocked;
  });
  assert.equal(stranger, "connect-src");
  await page.close();
});
