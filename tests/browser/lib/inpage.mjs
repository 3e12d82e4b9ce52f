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
 * @param {boolean} [options.portrait] somebody of that colour instead of a plain one, and no frame counter: for pictures of pages
 * @param {string} [options.screen] colour of a shared screen: a page of text behind `getDisplayMedia`
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
    portrait: false,
    screenRgb: COLOURS[options.screen ?? "grey"],
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
    if (o.portrait && !flash) return portrait(ctx, frame);
    const bits = Array.from({ length: o.COUNTER_BITS }, (_, i) => ((frame >> i) & 1) === 1);
    const cells = [true, false, ...bits, bits.filter(Boolean).length % 2 === 1, true];
    cells.forEach((white, i) => {
      ctx.fillStyle = white ? "#fff" : "#000";
      ctx.fillRect((i * o.width) / o.CELLS, 0, o.width / o.CELLS + 1, o.height * o.ROW);
    });
  }

  /** Head and shoulders in the colour, in front of a wall; the probe looks at the middle, and there is the colour. */
  function portrait(ctx, frame) {
    const [w, h] = [o.width, o.height];
    const shade = (by) => `rgb(${o.rgb.map((value) => Math.round(value * by)).join(" ")})`;
    const wall = ctx.createLinearGradient(0, 0, w, h);
    wall.addColorStop(0, shade(0.55));
    wall.addColorStop(1, shade(0.2));
    ctx.fillStyle = wall;
    ctx.fillRect(0, 0, w, h);
    const sway = Math.sin(frame / 9) * w * 0.006;
    ctx.fillStyle = shade(1);
    ctx.beginPath();
    ctx.ellipse(w / 2 + sway, h * 1.08, w * 0.27, h * 0.42, 0, 0, 7);
    ctx.rect(w / 2 - w * 0.05 + sway, h * 0.5, w * 0.1, h * 0.2);
    ctx.fill();
    ctx.beginPath();
    ctx.ellipse(w / 2 + sway, h * 0.4, h * 0.17, h * 0.21, 0, 0, 7);
    ctx.fill();
  }

  /** A page with a title and lines of text, the middle in the colour. */
  function screenTrack() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const ctx = canvas.getContext("2d");
    const track = canvas.captureStream(0).getVideoTracks()[0];
    let frame = 0;
    const timer = setInterval(() => {
      if (track.readyState === "ended") clearInterval(timer);
      ctx.fillStyle = "#fdfdf8";
      ctx.fillRect(0, 0, 1280, 720);
      ctx.fillStyle = "#20242c";
      ctx.font = "bold 54px sans-serif";
      ctx.fillText("Round trips, third quarter", 90, 130);
      ctx.font = "26px sans-serif";
      ["us-east-1 to eu-west-1", "eu-west-1 to ap-southeast-1", "ap-southeast-1 to us-east-1"].forEach((line, i) => ctx.fillText(line, 90, 215 + 44 * i));
      ctx.fillStyle = `rgb(${o.screenRgb.join(" ")})`;
      ctx.fillRect(90, 350, 1100, 300);
      ctx.fillStyle = "#20242c";
      ctx.fillRect(90, 660, 20 + ((frame += 4) % 1080), 8);
      track.requestFrame();
    }, 100);
    return track;
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

  navigator.mediaDevices.getDisplayMedia = async () => new MediaStream([screenTrack()]);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const tracks = [];
    if (wanted.audio) tracks.push(audioTrack());
    if (wanted.video) tracks.push(videoTrack());
    return new MediaStream(tracks);
  };
}
