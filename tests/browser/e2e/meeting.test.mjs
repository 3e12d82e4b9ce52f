// Three browsers, one a region, each with its own clip and tone on its own turns: who is seen and heard is read from pixels
// and spectrum.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { writeAudio, writeVideo } from "../lib/clips.mjs";
import { TONES } from "../lib/code.mjs";
import { say } from "../lib/figures.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant, untilConnected } from "../lib/participant.mjs";
import { freezes, scenes, turnsOf } from "../lib/probe.mjs";
import { SHOTS } from "../lib/shots.mjs";

/** Everybody speaks for 3 s in a round of 12 s; the clocks of the microphones start within a second of each other. */
const TURN_S = 3;
const ROUND_S = 12;
const ROUNDS = 3;
/** A turn is judged from here on: the decision, the way round the world, the jitter buffers, on a busy machine. */
const SETTLED_MS = 1_500;

const PEOPLE = [
  { name: "Ada", colour: "red", region: "us-east-1" },
  { name: "Eva", colour: "green", region: "eu-west-1" },
  { name: "Lin", colour: "blue", region: "ap-southeast-1" },
];

let folder;
let mesh;
const browsers = [];
const all = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "clips-"));
  mesh = await startMesh();
  await Promise.all(PEOPLE.map(open));
  // All microphones start now.
  await Promise.all(all.map((each) => each.enter()));
});

after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await mesh?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open({ name, colour, region }, index) {
  const fakeVideo = await writeVideo(join(folder, `${colour}.y4m`), { colour });
  const turns = Array.from({ length: ROUNDS }, (_, round) => {
    const on = 6 + round * ROUND_S + index * (TURN_S + 1);
    return [on, on + TURN_S];
  });
  const fakeAudio = await writeAudio(join(folder, `${colour}.wav`), { hz: TONES[colour], turns });
  const browser = await launch({ fakeVideo, fakeAudio });
  browsers.push(browser);
  const each = await participant(browser, mesh.link(region), { name, join: false, page: { preview: 0 } });
  all[index] = Object.assign(each, { colour, region });
}

const others = (each) => all.filter((other) => other !== each);

test("everybody is connected, and knows everybody by name", { timeout: 60_000 }, async () => {
  for (const each of all) {
    await untilConnected(each.page, 30_000);
    for (const { name } of all) {
      await each.page.waitForFunction(
        (wanted) => document.querySelector("[data-testid=roster]")?.textContent.includes(wanted), name, { timeout: 10_000 });
    }
  }
});

test("in three regions everybody sees and hears who speaks, under their name, and never themself", { timeout: 120_000 }, async (t) => {
  const [ada, eva] = all;
  // The picture of the whole: Eva speaks, Ada and Lin listen.
  await ada.untilHeard("green", { timeoutMs: 40_000 });
  await ada.untilMain("green", 10_000);
  await ada.page.waitForTimeout(700);
  await ada.shot(join(SHOTS, "meeting-of-three.png"));
  // Until the last turn is over.
  await eva.untilHeard("blue", { timeoutMs: 40_000 });
  await ada.page.waitForTimeout(ROUNDS * ROUND_S * 1_000 - 8_000);
  const records = await Promise.all(all.map(async (each) => ({
    each, sounds: await each.voices(), frames: await each.mainFrames(), labels: await each.labels(),
  })));
  for (const record of records) await t.test(`what ${record.each.name} saw and heard`, () => judge(record));
  for (const { each } of records) assert.deepEqual(each.page.problems, [], each.name);
});

/**
 * A click, such as the edge of another tone, is in all of the spectrum for one or two samples of 20 ms, and a source that is starved
 * for a moment stutters over it for up to 100 ms (both seen). A turn lasts three seconds: a tenth of one is a voice.
 */
function heardAtAll(sounds, colour) {
  return turnsOf(sounds, colour).filter(({ fromMs, toMs }) => toMs - fromMs >= 300);
}

function judge({ each, sounds, frames, labels }) {
  assert.deepEqual(heardAtAll(sounds, each.colour), [], "nobody hears themself");
  assert.deepEqual(frames.filter(({ colour }) => colour === each.colour), [], "nobody is their own main speaker");
  const strangers = Object.keys(TONES).filter((colour) => !all.some((one) => one.colour === colour));
  for (const colour of strangers) assert.deepEqual(heardAtAll(sounds, colour), [], "no tone that nobody has");
  let first = Infinity;
  for (const other of others(each)) {
    const turns = turnsOf(sounds, other.colour, 200).filter(({ fromMs, toMs }) => toMs - fromMs > 300);
    const lengths = turns.map(({ fromMs, toMs }) => Math.round(toMs - fromMs));
    assert.equal(turns.length, ROUNDS, `turns of ${other.name} heard: ${JSON.stringify(turns)}`);
    for (const length of lengths) assert.ok(Math.abs(length - TURN_S * 1_000) < 300, `${other.name} was heard for ${lengths} ms`);
    for (const [i, turn] of turns.entries()) {
      if (i > 0) {
        const round = turn.fromMs - turns[i - 1].fromMs;
        assert.ok(Math.abs(round - ROUND_S * 1_000) < 500, `${other.name} spoke again after ${round} ms`);
      }
      first = Math.min(first, turn.fromMs);
      judgeTurn(other, turn, frames, labels);
    }
    say(`${each.name} heard ${other.name} for ${lengths.join(", ")} ms`);
  }
  const steady = frames.filter(({ atMs }) => atMs > first + SETTLED_MS);
  const stops = freezes(steady, 1_000);
  const worst = Math.max(0, ...freezes(steady, 0).map(({ lengthMs }) => lengthMs));
  const readable = steady.filter(({ frame }) => frame !== undefined).length / steady.length;
  say(`${each.name}: ${steady.length} frames of main speakers, ${Math.round(readable * 100)} % with a readable counter, longest gap ${Math.round(worst)} ms`);
  assert.deepEqual(stops, [], "no freeze over 1 s");
  assert.ok(readable > 0.9, `${readable} of the frame counters are readable`);
}

/** While somebody speaks alone they, and only they, are in the main picture, under their name. */
function judgeTurn(speaker, { fromMs, toMs }, frames, labels) {
  const settled = fromMs + SETTLED_MS;
  const seen = frames.filter(({ atMs }) => atMs > settled && atMs < toMs);
  assert.ok(seen.length > 5, `${seen.length} frames while ${speaker.name} speaks`);
  assert.deepEqual(scenes(seen).map(({ colour }) => colour), [speaker.colour], `main picture while ${speaker.name} speaks`);
  const counters = new Set(seen.map(({ frame }) => frame).filter((frame) => frame !== undefined));
  assert.ok(counters.size > seen.length / 2, `the picture of ${speaker.name} moves: ${counters.size} of ${seen.length}`);
  const said = labels.filter(({ atMs }, i) => atMs < toMs && (labels[i + 1]?.atMs ?? Infinity) > settled).map(({ text }) => text);
  assert.deepEqual(said, [speaker.name], `label while ${speaker.name} speaks`);
}
