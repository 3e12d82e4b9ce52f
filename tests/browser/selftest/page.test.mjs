import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../lib/chromium.mjs";
import { inPageMedia } from "../lib/inpage.mjs";
import { participant } from "../lib/participant.mjs";
import { freezes, installProbe, untilColour, untilHeard, watchAudio, watchVideo } from "../lib/probe.mjs";
import { serve } from "../lib/serve.mjs";
import { fakeEdge, sent, tell } from "./fake-edge.mjs";

const DIST = fileURLToPath(new URL("../../../web/client/dist", import.meta.url));
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

async function opened({ query = "?name=Grace&autojoin=1&processing=0", edge = {}, media = { colour: "blue" }, from = browser } = {}) {
  const page = await from.newPage();
  if (media) await inPageMedia(page, media);
  await fakeEdge(page, edge);
  await installProbe(page);
  await page.goto(`${site.origin}/m/0a1b2c3d4e5fg${query}#token=abc.def.ghi`);
  return page;
}

const connected = (page) => page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 10_000 });
const text = (page, id) => page.textContent(`[data-testid=${id}]`);

test("joins, shows the speaker with a name, plays the voice", async () => {
  const page = await opened();
  await connected(page);
  assert.equal(await text(page, "main-name"), "Ada Lovelace");
  assert.match(await text(page, "roster"), /Grace \(you\)/);
  await watchVideo(page, "[data-testid=main-tile] video", "main");
  await watchAudio(page, "audio", "voices");
  await untilColour(page, "main", "blue");
  await untilHeard(page, "voices", "blue");
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("the offer has the agreed lines and fits the limit", async () => {
  const page = await opened();
  await connected(page);
  const [join] = await sent(page, "join");
  const lines = join.sdp.split("\r\nm=").slice(1);
  const shape = lines.map((line) => `${line.split(" ")[0]} ${/a=(sendonly|recvonly|sendrecv|inactive)/.exec(line)[1]}`);
  const repeat = (n, what) => Array.from({ length: n }, () => what);
  assert.deepEqual(shape, ["audio sendonly", "video sendonly", ...repeat(3, "audio recvonly"), ...repeat(14, "video recvonly")]);
  assert.match(lines[1], /a=simulcast:send q;h;f/);
  assert.match(lines[0], /abs-capture-time/);
  assert.match(lines[0], /ssrc-audio-level/);
  assert.deepEqual(join.publish.map(({ kind }) => kind), ["mic", "camera"]);
  assert.deepEqual(join.publish.map(({ mid }) => mid), ["0", "1"]);
  const codecs = new Set([...join.sdp.matchAll(/a=rtpmap:\d+ (\S+?)\//g)].map((match) => match[1].toLowerCase()));
  assert.deepEqual([...codecs].sort(), ["opus", "red", "rtx", "vp8"]);
  console.log(`# offer: ${join.sdp.length} bytes, ${join.sdp.split("\n").length} lines`);
  assert.ok(join.sdp.length < 64 * 1024);
  await page.close();
});

test("a large camera is sent in three sizes, a small one in two", async () => {
  const sizes = { 720: { f: 720, h: 360, q: 180 }, 360: { h: 360, q: 180 } };
  for (const [height, expected] of Object.entries(sizes)) {
    const page = await opened({ media: { colour: "green", height: Number(height), width: (Number(height) * 16) / 9 } });
    await connected(page);
    await page.waitForFunction(
      async (wanted) => {
        const { sends } = await window.mesh.meeting.stats();
        const sent = Object.fromEntries(sends.filter((s) => s.rid && s.height && s.framesPerSecond).map((s) => [s.rid, s.height]));
        window.__sizes = sent;
        return JSON.stringify(Object.entries(sent).sort()) === JSON.stringify(Object.entries(wanted).sort());
      },
      expected,
      { timeout: 10_000, polling: 500 },
    ).catch(async () => assert.deepEqual(await page.evaluate("window.__sizes"), expected));
    await page.close();
  }
});

test("one encoding without simulcast, and the rate wish is told", async () => {
  const page = await opened({ query: "?name=Grace&autojoin=1&simulcast=0&maxBitrate=300000" });
  await connected(page);
  const [join] = await sent(page, "join");
  assert.doesNotMatch(join.sdp, /a=simulcast/);
  assert.deepEqual(await sent(page, "layout"), [{ type: "layout", maxBitrateBps: 300_000 }]);
  await page.close();
});

test("a muted microphone and a camera that is off send nothing, and come back", async () => {
  const page = await opened({ query: "?name=Grace&autojoin=1&processing=0&simulcast=0" });
  await connected(page);
  const packets = () => page.evaluate(async () => {
    await window.mesh.meeting.stats();
    const { sends } = await window.mesh.meeting.stats();
    return Object.fromEntries(sends.map((send) => [send.kind, send.packetsSent]));
  });
  await page.waitForTimeout(500);
  await page.click("[data-testid=mute-mic]");
  await page.click("[data-testid=mute-camera]");
  await page.waitForFunction(() => window.mesh.meeting.isMuted("mic") && window.mesh.meeting.isMuted("camera"));
  await page.waitForTimeout(300);
  const before = await packets();
  await page.waitForTimeout(1_500);
  assert.deepEqual(await packets(), before);
  assert.deepEqual(await sent(page, "mute"), [
    { type: "mute", kind: "mic", muted: true },
    { type: "mute", kind: "camera", muted: true },
  ]);
  await page.keyboard.press("m");
  await page.click("[data-testid=mute-camera]");
  await page.waitForTimeout(1_000);
  const later = await packets();
  assert.ok(later.audio > before.audio && later.video > before.video, JSON.stringify({ before, later }));
  await page.close();
});

test("a screen share adds a line and says so", async () => {
  const page = await opened({ media: { colour: "red" } });
  await connected(page);
  await page.evaluate(() => {
    navigator.mediaDevices.getDisplayMedia = () => navigator.mediaDevices.getUserMedia({ video: true });
  });
  await page.click("[data-testid=share-screen]");
  await page.waitForSelector("[data-testid=share-screen][aria-pressed=true]");
  const [offer] = await sent(page, "renegotiate");
  assert.deepEqual(offer.publish.map(({ kind }) => kind), ["mic", "camera", "screen"]);
  assert.equal((await text(page, "share-screen")).trim(), "Stop sharing");
  await page.click("[data-testid=share-screen]");
  await page.waitForSelector("[data-testid=share-screen][aria-pressed=false]");
  assert.deepEqual((await sent(page, "mute")).map(({ kind, muted }) => [kind, muted]), [["screen", false], ["screen", true]]);
  await page.close();
});

test("a lost socket is opened again while the picture stays", async () => {
  const page = await opened();
  await connected(page);
  await page.evaluate(() => window.__edge.sockets.at(-1).drop());
  await page.waitForSelector('[data-testid=state][data-state="reconnecting"]', { timeout: 2_000 });
  await connected(page);
  assert.equal((await sent(page, "join")).length, 2);
  await watchVideo(page, "[data-testid=main-tile] video", "main");
  await untilColour(page, "main", "blue");
  await page.close();
});

test("three participants fit in one browser, none is throttled", async () => {
  const edged = {
    newPage: async () => {
      const page = await browser.newPage();
      await fakeEdge(page);
      return page;
    },
  };
  const link = `${site.origin}/m/0a1b2c3d4e5fg#token=abc`;
  const all = [];
  for (const colour of ["red", "green", "blue"]) all.push(await participant(edged, link, { name: colour, colour }));
  for (const { untilMain, colour } of all) await untilMain(colour);
  await all[0].page.waitForTimeout(3_000);
  for (const each of all) {
    // A throttled page paints once a second; a busy machine is only uneven.
    const recorded = (await each.mainFrames()).slice(-30);
    const second = freezes(recorded, 900);
    assert.ok(recorded.length >= 20 && second.length < 3, `${each.name}: ${recorded.length} frames, ${JSON.stringify(second)}`);
    await each.untilHeard(each.colour);
    await each.speak(false);
    await each.untilHeard(each.colour, { heard: false });
    await each.leave();
    await each.close();
  }
});

test("leave and an ended meeting are told", async () => {
  const page = await opened();
  await connected(page);
  await page.click("[data-testid=leave]");
  assert.equal(await text(page, "end-reason"), "You left the meeting.");
  assert.equal((await sent(page, "leave")).length, 1);
  const other = await opened();
  await connected(other);
  await tell(other, { type: "ended", reason: "The host ended the meeting." });
  await other.waitForSelector("[data-testid=ended]");
  assert.equal(await text(other, "end-reason"), "The host ended the meeting.");
  await page.close();
  await other.close();
});

test("a refusal shows the server's sentence", async () => {
  const refuse = { type: "error", code: "token", message: "This invitation has expired. Ask for a new link.", fatal: true };
  const page = await opened({ edge: { refuse } });
  await page.waitForSelector("[data-testid=error]");
  assert.equal((await text(page, "error")).trim(), refuse.message);
  await page.close();
});

test("without a token the page says what to do", async () => {
  const page = await browser.newPage();
  await page.goto(site.origin);
  assert.match(await text(page, "no-token"), /Open the meeting link printed by make demo/);
  await page.close();
});

test("refused devices are explained, and one can join without them", async () => {
  const strict = await launch({ denyMedia: true });
  try {
    const page = await opened({ media: null, query: "?name=Grace", from: strict });
    await page.click("[data-testid=join-button]");
    await page.waitForSelector('[data-testid=error][data-code="permission"]');
    await page.click("[data-testid=join-without-media]");
    await connected(page);
    assert.deepEqual((await sent(page, "mute")).map(({ kind, muted }) => [kind, muted]), [["mic", true], ["camera", true]]);
    await page.close();
  } finally {
    await strict.close();
  }
});

test("a browser that wants a click before sound gets a button", async () => {
  const strict = await launch({ strictAutoplay: true });
  try {
    const page = await strict.newPage();
    await fakeEdge(page);
    // Everything that Playwright evaluates counts as a click, so the page itself tells when the button is there.
    const button = page.waitForEvent("console", (message) => message.text() === "button");
    await page.addInitScript(() => {
      const look = () => document.querySelector("[data-testid=start-audio]") && console.log("button");
      new MutationObserver(look).observe(document, { childList: true, subtree: true });
    });
    await page.goto(`${site.origin}/m/0a1b2c3d4e5fg?name=Grace&autojoin=1&audio=0&video=0#token=abc`);
    await button;
    await page.click("[data-testid=start-audio]");
    await page.waitForSelector("[data-testid=start-audio]", { state: "detached" });
  } finally {
    await strict.close();
  }
});

test("the page is usable on a small screen", async () => {
  const page = await opened();
  await page.setViewportSize({ width: 360, height: 640 });
  await connected(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.equal(wide, false, "nothing sticks out sideways");
  assert.ok(await page.isVisible("[data-testid=leave]"));
  await page.close();
});
