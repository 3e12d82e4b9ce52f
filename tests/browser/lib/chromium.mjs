// Starts Chromium for a test: fake devices, a fresh profile, nothing that talks to the outside.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Where the browser is; `CHROMIUM` overrides it. */
export const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** No loopback flag on purpose: candidates must use the machine's address, as they will in production. */
export const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

/**
 * Starts a browser with a profile of its own; `close()` ends it and removes the profile.
 *
 * @param {object} [options]
 * @param {string} [options.fakeVideo] y4m or mjpeg file that every camera shows, in a loop
 * @param {string} [options.fakeAudio] wav file that every microphone hears, once (add your own loop to the file)
 * @param {boolean} [options.denyMedia] refuse microphone and camera
 * @param {boolean} [options.strictAutoplay] sound needs a click first, as for a person whose page captures nothing. Without it
 *   sound may start at once, which in-page media and the probe need (their AudioContext has nobody to click for it)
 * @param {string[]} [options.args] more flags
 * @returns {Promise<{context: import("playwright-core").BrowserContext, newPage: Function, close: () => Promise<void>}>}
 */
export async function launch(options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "mesh-chromium-"));
  const flags = FLAGS.filter((flag) => !(options.denyMedia && flag === "--use-fake-ui-for-media-stream"));
  if (options.denyMedia) flags.push("--deny-permission-prompts");
  if (!options.strictAutoplay) flags.push("--autoplay-policy=no-user-gesture-required");
  if (options.fakeVideo) flags.push(`--use-file-for-fake-video-capture=${options.fakeVideo}`);
  if (options.fakeAudio) flags.push(`--use-file-for-fake-audio-capture=${options.fakeAudio}%noloop`);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    // Playwright would mute the output device; voices are measured before it, but a muted device may stop its clock.
    ignoreDefaultArgs: ["--mute-audio"],
    args: [...flags, ...(options.args ?? [])],
    viewport: { width: 1000, height: 700 },
    ignoreHTTPSErrors: true,
  });
  return {
    context,
    /** A page whose console errors and exceptions are kept in `page.problems`. */
    async newPage() {
      const page = await context.newPage();
      page.problems = [];
      page.on("pageerror", (error) => page.problems.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") page.problems.push(message.text());
      });
      return page;
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
