import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { writeAudio, writeVideo } from "../lib/clips.mjs";
import { TONES } from "../lib/code.mjs";
import { inPageMedia } from "../lib/inpage.mjs";
import { frames, freezes, installProbe, lipSync, scenes, sounds, turnsOf, untilColour, untilHeard, watchAudio, watchVideo } from "../lib/probe.mjs";
import { serve } from "../lib/serve.mjs";
import { loopback } from "./loopback.mjs";

let folder;
let site;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mesh-clips-"));
  site = await serve(folder);
});

after(async () => {
  await site.close();
  await rm(folder, { recursive: true, force: true });
});

async function watched(browser, media) {
  const page = await browser.newPage();
  if (media) await inPageMedia(page, media);
  await installProbe(page);
  await page.goto(`${site.origin}/blank`);
  await loopback(page);
  await watchVideo(page, "#got-video", "video");
  await watchAudio(page, "#got-audio", "audio");
  return page;
}

test("a file clip arrives with its colour, its frame numbers and its turns", async () => {
  const fakeVideo = await writeVideo(join(folder, "cyan.y4m"), { colour: "cyan" });
  const fakeAudio = await writeAudio(join(folder, "cyan.wav"), { hz: TONES.cyan, turns: [[1, 2], [3, 4]], seconds: 8 });
  const browser = await launch({ fakeVideo, fakeAudio });
  try {
    const page = await watched(browser);
    await untilColour(page, "video", "cyan");
    await untilHeard(page, "audio", "cyan");
    await page.waitForTimeout(5_000);
    const recorded = await frames(page, "video");
    const readable = recorded.filter((frame) => frame.frame !== undefined);
    assert.ok(readable.length > recorded.length * 0.9, `${readable.length} of ${recorded.length} frames are readable`);
    const numbers = new Set(readable.map((frame) => frame.frame));
    assert.ok(numbers.size > 40, `${numbers.size} different frames`);
    assert.deepEqual(scenes(recorded.slice(5)).map((scene) => scene.colour), ["cyan"]);
    const turns = turnsOf(await sounds(page, "audio"), "cyan").map(({ fromMs, toMs }) => toMs - fromMs);
    assert.equal(turns.length, 2, `turns of ${turns} ms`);
    for (const length of turns) assert.ok(Math.abs(length - 1_000) < 150, `a turn of ${length} ms instead of 1,000`);
  } finally {
    await browser.close();
  }
});

test("every colour and tone is told from the others", async () => {
  const browser = await launch();
  try {
    for (const colour of Object.keys(TONES)) {
      const page = await watched(browser, { colour, width: 160, height: 90 });
      await untilColour(page, "video", colour);
      await untilHeard(page, "audio", colour);
      const heard = (await sounds(page, "audio")).at(-1).heard;
      assert.deepEqual(heard, [colour]);
      const readable = (await frames(page, "video")).some((frame) => frame.frame !== undefined);
      assert.ok(readable, "the frame number is readable at 160x90");
      await page.close();
    }
  } finally {
    await browser.close();
  }
});

test("a stopped picture is a freeze", async () => {
  const browser = await launch();
  try {
    const page = await watched(browser, { colour: "red" });
    await untilColour(page, "video", "red");
    await page.waitForTimeout(1_000);
    const sender = "window.loop.from.getSenders().find((s) => s.track?.kind === 'video')";
    await page.evaluate(`${sender}.track.enabled, window.kept = ${sender}.track, ${sender}.replaceTrack(null)`);
    await page.waitForTimeout(1_000);
    await page.evaluate("window.loop.from.getSenders().find((s) => !s.track).replaceTrack(window.kept)");
    await page.waitForTimeout(1_000);
    const gaps = freezes((await frames(page, "video")).slice(3), 500);
    assert.equal(gaps.length, 1, JSON.stringify(gaps));
    assert.ok(gaps[0].lengthMs > 850 && gaps[0].lengthMs < 1_500, JSON.stringify(gaps));
  } finally {
    await browser.close();
  }
});

test("flash and beep come together on a loopback", async () => {
  const browser = await launch();
  try {
    const page = await watched(browser, { colour: "green", flashEveryMs: 1_000, fps: 30 });
    await page.waitForTimeout(9_000);
    const sync = lipSync(await frames(page, "video"), await sounds(page, "audio"), "green");
    assert.ok(sync.count >= 5, JSON.stringify(sync));
    assert.ok(Math.abs(sync.medianMs) < 150, JSON.stringify(sync));
    console.log("# lip sync of a loopback, ms:", sync.medianMs.toFixed(0), sync.offsets.map((x) => x.toFixed(0)).join(" "));
  } finally {
    await browser.close();
  }
});
