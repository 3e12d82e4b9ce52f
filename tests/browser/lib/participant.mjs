// A participant of a test: a page in the meeting, with coded media, recorded by the probe.
import { inPageMedia } from "./inpage.mjs";
import { frames, installProbe, sounds, texts, untilColour, untilHeard, watchAudio, watchText, watchVideo } from "./probe.mjs";

/** A meeting link with options for the page: `?name=..&autojoin=1..`, before the fragment with the token. */
export function linkWith(link, options) {
  const url = new URL(link);
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

/**
 * Opens a meeting link and joins.
 *
 * @param {Awaited<ReturnType<import("./chromium.mjs").launch>>} browser
 * @param {string} link `http://host:port/m/<meeting>#token=<jwt>`
 * @param {object} options
 * @param {string} options.name display name
 * @param {string} [options.colour] whose picture and tone; none: the browser's fake devices (files given to `launch`)
 * @param {object} [options.media] more for `inPageMedia`: turns, flashEveryMs, width, height, fps
 * @param {object} [options.page] more options of the page: `{simulcast: 0, maxBitrate: 300000, audio: 0, video: 0}`
 * @param {boolean} [options.join] false: stop at the form; `enter()` goes on, or a click and `arrived()`
 * @param {number} [options.timeoutMs]
 */
export async function participant(browser, link, { name, colour, media = {}, page: query = {}, join = true, timeoutMs = 15_000 }) {
  const page = await browser.newPage();
  if (colour) await inPageMedia(page, { colour, ...media });
  await installProbe(page);
  const startedMs = Date.now();
  await page.goto(linkWith(link, { name, processing: 0, autojoin: join ? 1 : undefined, ...query }));
  const self = {
    page,
    name,
    colour,
    /** From opening the page to connected media, ms. */
    joinMs: undefined,
    /** Own participant id. */
    id: () => page.evaluate(() => window.mesh.meeting?.participantId),
    /** `connecting`, `connected`, `reconnecting` or `ended`. */
    state: () => page.evaluate(() => window.mesh.meeting?.state ?? "ended"),
    /** Rates, losses, delays since the last call. */
    stats: () => page.evaluate(() => window.mesh.meeting?.stats()),
    /** Who is in which slot: `[{key, participant, rid}]`. */
    slots: () => page.evaluate(() => window.mesh.meeting?.slots.map(({ key, participant, rid }) => ({ key, participant, rid })) ?? []),
    mainName: () => page.textContent("[data-testid=main-name]", { timeout: 5_000 }),
    mainFrames: () => frames(page, "main"),
    voices: () => sounds(page, "voices"),
    untilMain: (wanted, ms) => untilColour(page, "main", wanted, ms),
    untilHeard: (wanted, options) => untilHeard(page, "voices", wanted, options),
    /** What the main tile's label said: `{atMs, text}`, one entry for each change. */
    labels: () => texts(page, "label"),
    /** Adds this to the page's times to compare them with those of other pages. */
    originMs: () => page.evaluate(() => performance.timeOrigin),
    /** Speak or be silent, whatever the schedule says (in-page media only). */
    speak: (on, level) => page.evaluate(([value, loud]) => window.__media.speak(value, loud), [on, level]),
    /** When the own tone began and ended, in milliseconds of the machine's clock (in-page media only). */
    spoken: () => page.evaluate(() => window.__media.turns),
    shot: (file) => page.screenshot({ path: file }),
    leave: () => page.click("[data-testid=leave]"),
    close: () => page.close(),
  };
  const record = async () => {
    await watchText(page, "[data-testid=main-name]", "label");
    await watchVideo(page, "[data-testid=main-tile] video", "main");
    await watchAudio(page, "audio", "voices");
  };
  /** Waits for the meeting, however one got there. */
  self.arrived = async () => {
    await untilConnected(page, timeoutMs);
    await record();
  };
  /** From the form into the meeting. */
  self.enter = async () => {
    await page.click("[data-testid=join-button]");
    await self.arrived();
  };
  if (!join) return self;
  await self.arrived();
  self.joinMs = Date.now() - startedMs;
  return self;
}

/** Waits for connected media; fails with what the page says is wrong. */
export async function untilConnected(page, timeoutMs = 15_000) {
  const connected = page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: timeoutMs });
  await connected.catch(async () => {
    const said = await page.textContent("[data-testid=error]", { timeout: 100 }).catch(() => "no error shown");
    const state = await page.textContent("[data-testid=state]", { timeout: 100 }).catch(() => "not joined");
    throw new Error(`not connected within ${timeoutMs} ms; state: ${state}; page: ${said}; console: ${page.problems.join(" | ")}`);
  });
}
