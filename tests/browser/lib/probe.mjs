// Looks at what a page receives: whose colour and which frame each <video> shows, which tones a stream carries, freezes,
// and how far flash and beep are apart. Everything is recorded in the page as it happens and read afterwards.
import { CELLS, COLOURS, COUNTER_BITS, ROW, TONES } from "./code.mjs";

/** Puts `window.__probe` into a page; before or after it loads. */
export async function installProbe(page) {
  const code = { COLOURS, TONES, CELLS, COUNTER_BITS, ROW };
  await page.addInitScript(install, code);
  await page.evaluate(install, code);
}

/**
 * Starts to record the frames of the first <video> that matches a selector. The element may change its stream meanwhile.
 * @returns {Promise<void>}
 */
export async function watchVideo(page, selector, name = selector) {
  await page.evaluate(([s, n]) => window.__probe.watchVideo(s, n), [selector, name]);
}

/** The recorded frames: `{atMs, colour, frame, width, height, white}`; `frame` is undefined when it was not readable. */
export function frames(page, name) {
  return page.evaluate((n) => window.__probe.videos[n]?.frames ?? [], name);
}

/** Starts to record the tones of an <audio> or <video> element's stream, or of several that match. */
export async function watchAudio(page, selector, name = selector) {
  await page.evaluate(([s, n]) => window.__probe.watchAudio(s, n), [selector, name]);
}

/** The recorded levels, every 20 ms: `{atMs, heard: [colour names]}`. */
export function sounds(page, name) {
  return page.evaluate((n) => window.__probe.audios[n]?.samples ?? [], name);
}

/** Starts to record what the first element that matches a selector says. */
export async function watchText(page, selector, name = selector) {
  await page.evaluate(([s, n]) => window.__probe.watchText(s, n), [selector, name]);
}

/** The recorded texts, one entry for each change: `{atMs, text}`; `undefined` while there is no such element. */
export function texts(page, name) {
  return page.evaluate((n) => window.__probe.texts[n] ?? [], name);
}

/** Waits until the newest frame of a watched video has a colour. Throws with what was seen instead. */
export async function untilColour(page, name, colour, timeoutMs = 10_000) {
  const seen = (c) => page.waitForFunction(
    ([n, wanted]) => window.__probe.videos[n]?.frames.at(-1)?.colour === wanted, [name, c], { timeout: timeoutMs, polling: 20 });
  await seen(colour).catch(async () => {
    const last = (await frames(page, name)).at(-1);
    throw new Error(`${name} does not show ${colour} within ${timeoutMs} ms, last seen: ${JSON.stringify(last ?? null)}`);
  });
}

/** Waits until a tone is heard (or, with `heard: false`, not heard any more). */
export async function untilHeard(page, name, colour, { timeoutMs = 10_000, heard = true } = {}) {
  await page
    .waitForFunction(
      ([n, c, h]) => {
        const last = window.__probe.audios[n]?.samples.slice(-5) ?? [];
        return last.length === 5 && last.every((sample) => sample.heard.includes(c) === h);
      },
      [name, colour, heard],
      { timeout: timeoutMs, polling: 20 },
    )
    .catch(async () => {
      const last = (await sounds(page, name)).at(-1);
      throw new Error(`${name}: ${colour} heard=${heard} not reached, last: ${JSON.stringify(last ?? null)}`);
    });
}

/**
 * Freezes in recorded frames: gaps of more than `limitMs` between two *new* pictures (a repeated frame number is no new one).
 * @returns {{fromMs: number, lengthMs: number}[]}
 */
export function freezes(recorded, limitMs = 300) {
  const gaps = [];
  let last;
  for (const frame of recorded) {
    if (last && frame.frame !== undefined && frame.frame === last.frame && frame.colour === last.colour) continue;
    if (last && frame.atMs - last.atMs > limitMs) gaps.push({ fromMs: last.atMs, lengthMs: frame.atMs - last.atMs });
    last = frame;
  }
  return gaps;
}

/** Stretches of one colour, in order: `{colour, fromMs, toMs, frames}`; frames of no known colour are left out. */
export function scenes(recorded) {
  const out = [];
  for (const { colour, atMs } of recorded) {
    if (!colour) continue;
    const last = out.at(-1);
    if (last?.colour === colour) {
      last.toMs = atMs;
      last.frames += 1;
    } else out.push({ colour, fromMs: atMs, toMs: atMs, frames: 1 });
  }
  return out;
}

/** Stretches in which a tone is heard: `{fromMs, toMs}`; gaps up to `bridgeMs` do not end one. */
export function turnsOf(recorded, colour, bridgeMs = 60) {
  const out = [];
  for (const { heard, atMs } of recorded) {
    if (!heard.includes(colour)) continue;
    const last = out.at(-1);
    if (last && atMs - last.toMs <= bridgeMs) last.toMs = atMs;
    else out.push({ fromMs: atMs, toMs: atMs });
  }
  return out;
}

/**
 * Lip sync from flash and beep: sound minus picture for each flash, ms; positive: the sound is late. The clock of frames is the
 * expected display time. Subtract what {@link lipSync} measures on a loopback to get rid of the method's own offset.
 */
export function lipSync(recordedFrames, recordedSounds, colour, windowMs = 450) {
  const flashes = onsets(recordedFrames.map(({ atMs, white }) => ({ atMs, on: white === true })), FRAME_GAP_MS);
  const beeps = onsets(recordedSounds.map(({ atMs, heard }) => ({ atMs, on: heard.includes(colour) })), SOUND_GAP_MS);
  const offsets = [];
  for (const flash of flashes) {
    const near = beeps.map((beep) => beep - flash).filter((offset) => Math.abs(offset) < windowMs);
    if (near.length > 0) offsets.push(near.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a)));
  }
  const sorted = [...offsets].sort((a, b) => a - b);
  return { offsets, medianMs: sorted[Math.floor(sorted.length / 2)], count: offsets.length };
}

/** An onset counts only where the sample before is this near, ms: a page that was not let run did not see when it was. */
const SOUND_GAP_MS = 50;
/** Frames at 15 a second are 67 ms apart. */
const FRAME_GAP_MS = 110;

function onsets(samples, gapMs) {
  const begins = ({ on, atMs }, before) => on && before && !before.on && atMs - before.atMs <= gapMs;
  return samples.filter((sample, i) => begins(sample, samples[i - 1])).map((sample) => sample.atMs);
}

/** Runs in the page. */
function install(code) {
  if (window.__probe) return;
  const probe = { videos: {}, audios: {}, texts: {}, watchVideo, watchAudio, watchText };
  window.__probe = probe;
  const SAMPLE_WIDTH = 128;
  const SAMPLE_HEIGHT = 72;

  /** The nearest colour of the palette, if it is near enough. */
  function colourOf(r, g, b) {
    let best;
    let bestDistance = 70 * 70;
    for (const [name, [cr, cg, cb]] of Object.entries(code.COLOURS)) {
      const distance = (r - cr) ** 2 + (g - cg) ** 2 + (b - cb) ** 2;
      if (distance < bestDistance) [best, bestDistance] = [name, distance];
    }
    return best;
  }

  function decode(data) {
    const at = (x, y) => {
      const i = (Math.floor(y) * SAMPLE_WIDTH + Math.floor(x)) * 4;
      return [data[i], data[i + 1], data[i + 2]];
    };
    const [r, g, b] = at(SAMPLE_WIDTH / 2, SAMPLE_HEIGHT * 0.6);
    const cells = Array.from({ length: code.CELLS }, (_, i) => {
      const [cr, cg, cb] = at(((i + 0.5) * SAMPLE_WIDTH) / code.CELLS, (SAMPLE_HEIGHT * code.ROW) / 2);
      return (cr + cg + cb) / 3;
    });
    const bits = cells.map((level) => level > 127);
    const counter = bits.slice(2, 2 + code.COUNTER_BITS);
    const parity = counter.filter(Boolean).length % 2 === 1;
    const sound = bits[0] && !bits[1] && bits[code.CELLS - 1] && bits[2 + code.COUNTER_BITS] === parity;
    const frame = sound ? counter.reduce((sum, bit, i) => sum + (bit ? 1 << i : 0), 0) : undefined;
    return { colour: colourOf(r, g, b), frame, white: Math.min(r, g, b) > 225 };
  }

  function watchVideo(selector, name) {
    const canvas = document.createElement("canvas");
    canvas.width = SAMPLE_WIDTH;
    canvas.height = SAMPLE_HEIGHT;
    const ctx = canvas.getContext("2d", { willReadFrequently: true });
    const entry = { frames: [], on: undefined };
    probe.videos[name] = entry;
    const follow = () => {
      const video = document.querySelector(selector);
      if (!video || video === entry.on) return;
      entry.on = video;
      const step = (_now, info) => {
        if (entry.on !== video) return;
        ctx.drawImage(video, 0, 0, SAMPLE_WIDTH, SAMPLE_HEIGHT);
        const seen = decode(ctx.getImageData(0, 0, SAMPLE_WIDTH, SAMPLE_HEIGHT).data);
        entry.frames.push({ atMs: info.expectedDisplayTime, ...seen, width: video.videoWidth, height: video.videoHeight });
        if (entry.frames.length > 20_000) entry.frames.splice(0, 10_000);
        video.requestVideoFrameCallback(step);
      };
      video.requestVideoFrameCallback(step);
    };
    follow();
    // The page may replace the element when the layout changes.
    setInterval(follow, 50);
  }

  function watchText(selector, name) {
    const entries = [];
    probe.texts[name] = entries;
    setInterval(() => {
      const text = document.querySelector(selector)?.textContent?.trim();
      if (entries.length === 0 || entries.at(-1).text !== text) entries.push({ atMs: performance.now(), text });
    }, 20);
  }

  let context;

  /** Level of a frequency in dB, the highest of the neighbouring bins. */
  function levelAt(spectrum, hz, binHz) {
    const bin = Math.round(hz / binHz);
    let level = -200;
    for (let i = bin - 1; i <= bin + 1; i += 1) level = Math.max(level, spectrum[i] ?? -200);
    return level;
  }

  function watchAudio(selector, name) {
    context ??= new AudioContext({ sampleRate: 48_000 });
    void context.resume();
    const analyser = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    const spectrum = new Float32Array(analyser.frequencyBinCount);
    const entry = { samples: [], sources: new Map() };
    probe.audios[name] = entry;
    const binHz = context.sampleRate / analyser.fftSize;
    const follow = () => {
      for (const element of document.querySelectorAll(selector)) {
        const track = element.srcObject?.getAudioTracks()[0];
        if (!track || entry.sources.has(track)) continue;
        const stream = new MediaStream([track]);
        // Chromium gives WebAudio samples of a remote track only while a media element plays it.
        const sink = new Audio();
        sink.muted = true;
        sink.srcObject = stream;
        void sink.play();
        const source = context.createMediaStreamSource(stream);
        source.connect(analyser);
        entry.sources.set(track, { source, sink });
      }
    };
    follow();
    setInterval(follow, 200);
    setInterval(() => {
      analyser.getFloatFrequencyData(spectrum);
      const levels = Object.entries(code.TONES).map(([colour, hz]) => [colour, levelAt(spectrum, hz, binHz)]);
      const top = Math.max(...levels.map(([, level]) => level));
      // A tone is heard when it stands out: above silence, and not a side lobe of a much louder one.
      const heard = levels.filter(([, level]) => level > -50 && level > top - 20).map(([colour]) => colour);
      // The window of the analyser ends now and its middle is half of it ago.
      entry.samples.push({ atMs: performance.now() - (analyser.fftSize / context.sampleRate) * 500, heard });
      if (entry.samples.length > 20_000) entry.samples.splice(0, 10_000);
    }, 20);
  }
}
