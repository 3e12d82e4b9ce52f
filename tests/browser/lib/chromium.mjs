// Starts Chromium for a test: fake devices, a fresh profile, nothing that talks to the outside.
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
 * Starts a browser with a profile of its own (Playwright makes a new folder for each and removes it); `close()` ends it.
 *
 * @param {object} [options]
 * @param {string} [options.fakeVideo] y4m or mjpeg file that every camera shows, in a loop
 * @param {string} [options.fakeAudio] wav file that every microphone hears, once (add your own loop to the file)
 * @param {boolean} [options.denyMedia] refuse microphone and camera
 * @param {boolean} [options.strictAutoplay] sound needs a click first, as for a person whose page captures nothing. Without it
 *   sound may start at once, which in-page media and the probe need (their AudioContext has nobody to click for it)
 * @param {string[]} [options.args] more flags
 * @returns {Promise<{browser: import("playwright-core").Browser, newPage: Function, close: () => Promise<void>}>}
 */
export async function launch(options = {}) {
  const flags = FLAGS.filter((flag) => !(options.denyMedia && flag === "--use-fake-ui-for-media-stream"));
  if (options.denyMedia) flags.push("--deny-permission-prompts");
  if (!options.strictAutoplay) flags.push("--autoplay-policy=no-user-gesture-required");
  if (options.fakeVideo) flags.push(`--use-file-for-fake-video-capture=${options.fakeVideo}`);
  if (options.fakeAudio) flags.push(`--use-file-for-fake-audio-capture=${options.fakeAudio}%noloop`);
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    // Playwright would mute the output device; voices are measured before it, but a muted device may stop its clock.
    ignoreDefaultArgs: ["--mute-audio"],
    args: [...flags, ...(options.args ?? [])],
  });
  return {
    browser,
    /**
     * A page whose console errors and exceptions are kept in `page.problems`. Each has a context of its own, and so a
     * window of its own: a page in a tab behind another one is hidden, and paints once a second.
     */
    async newPage() {
      const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, ignoreHTTPSErrors: true });
      const page = await context.newPage();
      page.problems = [];
      page.on("pageerror", (error) => page.problems.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") page.problems.push(message.text());
      });
      page.on("close", () => void context.close().catch(() => {}));
      return page;
    },
    close: () => browser.close(),
  };
}
