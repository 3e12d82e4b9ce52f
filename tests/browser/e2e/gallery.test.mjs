// A gallery of 25: one renegotiation for the slots, pictures of everybody visible and of nobody else.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { say } from "../lib/figures.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { untilColour, watchVideo } from "../lib/probe.mjs";
import { buildSdk, crowd } from "../lib/sdk.mjs";
import { SHOTS } from "../lib/shots.mjs";

const NAMES = ["Grace Hopper", "Katherine Johnson", "Edsger Dijkstra", "Radia Perlman", "Leslie Lamport", "Barbara Liskov",
  "Donald Knuth", "Margaret Hamilton", "Vint Cerf", "Frances Allen", "Tony Hoare", "Annie Easley", "Ken Thompson",
  "Adele Goldberg", "Alan Kay", "Sophie Wilson", "John McCarthy", "Karen Jones", "Dennis Ritchie", "Hedy Lamarr", "Niklaus Wirth",
  "Mary Shaw", "Jon Postel", "Shafi Goldwasser"];

let mesh;
let crowded;
let browser;
let viewer;
let people;

before(async () => {
  buildSdk();
  mesh = await startMesh();
  crowded = await launch();
  browser = await launch();
  const meeting = await mesh.meeting();
  ({ people } = await crowd(crowded, mesh.linkOf(meeting, "us-east-1"), NAMES));
  viewer = await participant(browser, mesh.linkOf(meeting, "eu-west-1"), {
    name: "Lin", colour: "cyan", media: { turns: [], portrait: true, width: 320, height: 180 },
  });
  await viewer.page.setViewportSize({ width: 1280, height: 800 });
});

after(async () => {
  await browser?.close();
  await crowded?.close();
  await mesh?.stop();
});

/** Tiles whose picture has arrived. */
const pictures = (page) => page.evaluate(() => [...document.querySelectorAll("[data-testid=gallery] figure video")]
  .filter((video) => video.videoWidth > 0 && video.readyState >= 2).length);
/** People who stand in a picture slot. */
const subscribed = async () => new Set((await viewer.slots()).filter(({ key, participant: p }) => p !== undefined && /main|strip/.test(key))
  .map(({ participant: p }) => p)).size;
const until = async (what, wanted, look, timeoutMs = 20_000) => {
  const end = Date.now() + timeoutMs;
  let seen;
  do {
    seen = await look();
    if (wanted(seen)) return seen;
    await viewer.page.waitForTimeout(200);
  } while (Date.now() < end);
  const { downBps, slots } = await viewer.stats();
  const shown = slots.filter(({ bitrateBps }) => bitrateBps > 0).map(({ key, bitrateBps }) => `${key} ${Math.round(bitrateBps / 1_000)}`);
  return assert.fail(`${what}: ${JSON.stringify(seen)} after ${timeoutMs} ms; ${Math.round(downBps / 1_000)} kbit/s: ${shown}`);
};

test("everybody in a meeting of 25 is seen at once", { timeout: 120_000 }, async () => {
  const { page } = viewer;
  await page.evaluate(() => {
    const { pc } = window.mesh.meeting;
    window.__offers = 0;
    const offer = pc.createOffer.bind(pc);
    pc.createOffer = (...args) => ((window.__offers += 1), offer(...args));
  });
  if (await page.isVisible("[data-testid=roster]")) await page.click("[data-testid=toggle-roster]");
  const before = Date.now();
  await page.click("[data-testid=toggle-view]");
  await page.waitForSelector("[data-testid=gallery]");
  await until("figures", (n) => n === 25, () => page.locator("[data-testid=gallery] figure").count());
  await until("pictures", (n) => n === 25, () => pictures(page), 60_000);
  say(`a gallery of 25 was complete ${Date.now() - before} ms after the click`);
  assert.equal(await page.evaluate(() => window.__offers), 1, "one renegotiation");
  for (const { id, colour } of [people[0], people[13], people[23]]) {
    await watchVideo(page, `[data-testid=tile-${id}] video`, `tile-${id}`);
    await untilColour(page, `tile-${id}`, colour);
  }
  await page.mouse.move(0, 0);
  await viewer.shot(join(SHOTS, "gallery-of-25.png"));
});

test("what is not visible is not subscribed", { timeout: 90_000 }, async () => {
  const { page } = viewer;
  await page.setViewportSize({ width: 390, height: 844 });
  const figures = await until("fewer figures", (n) => n < 20, () => page.locator("[data-testid=gallery] figure").count());
  await until("subscribed people", (n) => n <= figures - 1, subscribed);
  say(`on a phone ${figures} tiles, ${await subscribed()} people subscribed`);
  await viewer.shot(join(SHOTS, "gallery-on-a-phone.png"));
  await page.click("[data-testid=toggle-view]");
  const tiles = await page.waitForSelector("[data-testid=self-tile]").then(() => page.locator("[data-testid^=tile-]").count());
  await until("the strip", (n) => n <= tiles + 1, subscribed);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.click("[data-testid=more-people]");
  await until("all again", (n) => n === 24, subscribed, 40_000);
});
