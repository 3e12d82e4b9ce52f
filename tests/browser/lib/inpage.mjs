// Test media made inside the page: a canvas and an oscillator behind `getUserMedia`. Picture and sound share one clock, so
// flash and beep are simultaneous (files behind the fake devices are not), and many participants fit in one browser.
import { CELLS, COLOURS, COUNTER_BITS, ROW, TONES } from "./code.mjs";

/**
 * Replaces `getUserMedia` of a page before it loads.
 *
 * @param {import("playwright-core").Page} page
 * @param {object} options
 * @param {keyof typeof COLOURS} options.colour who this is; also picks the tone
 * @param {number} [options.hz] another tone
 * @param {[on: number, off: number][]} [options.turns] seconds since the microphone was opened; none: always on
 * @param {number} [options.loopSeconds] the turns start anew after this long
 * @param {number} [options.flashEveryMs] flash-and-beep: white picture and tone, once in this long
 * @param {number} [options.flashMs] for so long; the floor goes to nobody who speaks for less than 180 ms
 * @param {number} [options.fps]
 * @param {number} [options.width]
 * @param {number} [options.height]
 */
export async function inPageMedia(page, options) {
  const { colour } = options;
  await page.addInitScript(install, {
    fps: 15,
    width: 640,
    height: 360,
    turns: null,
    loopSeconds: 0,
    flashEveryMs: 0,
    flashMs: 100,
    hz: TONES[colour],
    rgb: COLOURS[colour],
    CELLS,
    COUNTER_BITS,
    ROW,
    ...options,
  });
}

/** Runs in the page. */
function install(o) {
  let context;
  let epoch = 0;
  const state = { level: 0.4 };
  window.__media = {
    /** Speak or be silent from now on, whatever the schedule says: `undefined` follows the schedule again. */
    speak(on, level = 0.4) {
      state.forced = on;
      state.level = level;
    },
    /** When the tone began and ended: `{atMs, on}`, in milliseconds of the machine's clock. */
    turns: [],
    /** When a frame was drawn, by its number, on the page's clock. */
    drawn: {},
    get frame() {
      return state.frame;
    },
  };

  const seconds = () => context.currentTime - epoch;

  function clock() {
    if (context) return;
    context = new AudioContext({ sampleRate: 48_000 });
    void context.resume();
    epoch = context.currentTime;
  }

  function talking(t) {
    if (state.forced !== undefined) return state.forced;
    if (o.flashEveryMs) return (t * 1000) % o.flashEveryMs < o.flashMs;
    if (!o.turns) return true;
    const at = o.loopSeconds ? t % o.loopSeconds : t;
    return o.turns.some(([on, off]) => at >= on && at < off);
  }

  function audioTrack() {
    clock();
    const oscillator = new OscillatorNode(context, { frequency: o.hz });
    const gain = new GainNode(context, { gain: 0 });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    oscillator.connect(gain).connect(out);
    oscillator.start();
    let on = false;
    // Beeps are put on the audio clock ahead of time: a timer alone would be 10 ms late.
    let planned = 0;
    setInterval(() => {
      const t = seconds();
      if (o.flashEveryMs && state.forced === undefined) {
        const every = o.flashEveryMs / 1000;
        const next = Math.ceil((t + 0.02) / every);
        if (next <= planned || next * every - t > 0.2) return;
        planned = next;
        gain.gain.setValueAtTime(0.4, epoch + next * every);
        gain.gain.setValueAtTime(0, epoch + next * every + o.flashMs / 1000);
        return;
      }
      if (talking(t) === on) return;
      on = !on;
      gain.gain.setTargetAtTime(on ? state.level : 0, context.currentTime, 0.005);
      window.__media.turns.push({ atMs: performance.timeOrigin + performance.now(), on });
    }, 10);
    return out.stream.getAudioTracks()[0];
  }

  function draw(ctx, frame, flash) {
    const [r, g, b] = flash ? [255, 255, 255] : o.rgb;
    ctx.fillStyle = `rgb(${r} ${g} ${b})`;
    ctx.fillRect(0, 0, o.width, o.height);
    const bits = Array.from({ length: o.COUNTER_BITS }, (_, i) => ((frame >> i) & 1) === 1);
    const cells = [true, false, ...bits, bits.filter(Boolean).length % 2 === 1, true];
    cells.forEach((white, i) => {
      ctx.fillStyle = white ? "#fff" : "#000";
      ctx.fillRect((i * o.width) / o.CELLS, 0, o.width / o.CELLS + 1, o.height * o.ROW);
    });
  }

  function videoTrack() {
    clock();
    const canvas = new OffscreenCanvasOrElement();
    const ctx = canvas.getContext("2d");
    const stream = canvas.captureStream(0);
    const track = stream.getVideoTracks()[0];
    let shown = -1;
    const timer = setInterval(() => {
      if (track.readyState === "ended") clearInterval(timer);
      const t = seconds();
      const flash = o.flashEveryMs > 0 && talking(t);
      const frame = Math.floor(t * o.fps);
      // A flash is shown when it happens, not at the next tick of the frame clock.
      if (frame === shown && flash === state.flash) return;
      shown = frame;
      state.flash = flash;
      state.frame = frame & ((1 << o.COUNTER_BITS) - 1);
      draw(ctx, state.frame, flash);
      window.__media.drawn[state.frame] = performance.now();
      track.requestFrame();
    }, 5);
    return track;
  }

  function OffscreenCanvasOrElement() {
    const canvas = document.createElement("canvas");
    canvas.width = o.width;
    canvas.height = o.height;
    return canvas;
  }

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const tracks = [];
    if (wanted.audio) tracks.push(audioTrack());
    if (wanted.video) tracks.push(videoTrack());
    return new MediaStream(tracks);
  };
}
