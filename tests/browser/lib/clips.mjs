// Writes test media for Chromium's fake devices: a y4m clip that says who and which frame, a wav with a tone by schedule.
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { once } from "node:events";
import { CELLS, COLOURS, ROW, cellsOf } from "./code.mjs";

const SAMPLE_RATE = 48_000;

/** BT.601 limited range, as y4m has it. */
function yuv([r, g, b]) {
  const y = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255;
  const u = 128 + (-37.797 * r - 74.203 * g + 112 * b) / 255;
  const v = 128 + (112 * r - 93.786 * g - 18.214 * b) / 255;
  return [y, u, v].map((value) => Math.max(0, Math.min(255, Math.round(value))));
}

/** One I420 frame. */
function frameOf(colour, frame, width, height) {
  const [y, u, v] = yuv(colour);
  const data = Buffer.alloc((width * height * 3) / 2);
  data.fill(y, 0, width * height);
  data.fill(u, width * height, (width * height * 5) / 4);
  data.fill(v, (width * height * 5) / 4);
  const rows = Math.round(height * ROW);
  const cell = width / CELLS;
  cellsOf(frame).forEach((white, i) => {
    const from = Math.round(i * cell);
    const to = Math.round((i + 1) * cell);
    for (let row = 0; row < rows; row += 1) data.fill(white ? 235 : 16, row * width + from, row * width + to);
    for (let row = 0; row < rows / 2; row += 1) {
      for (const plane of [width * height, (width * height * 5) / 4]) {
        data.fill(128, plane + (row * width) / 2 + from / 2, plane + (row * width) / 2 + to / 2);
      }
    }
  });
  return data;
}

/**
 * A clip of one colour with a frame counter. Chromium plays it in a loop; 64 frames are 22 MB.
 *
 * @param {string} path file to write, `.y4m`
 * @param {{colour: keyof typeof COLOURS, frames?: number, fps?: number, width?: number, height?: number}} options
 */
export async function writeVideo(path, { colour, frames = 64, fps = 15, width = 640, height = 360 }) {
  const out = createWriteStream(path);
  out.write(`YUV4MPEG2 W${width} H${height} F${fps}:1 Ip A1:1 C420jpeg\n`);
  for (let frame = 0; frame < frames; frame += 1) {
    out.write("FRAME\n");
    if (!out.write(frameOf(COLOURS[colour], frame, width, height))) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
  return path;
}

/**
 * A tone that sounds in the given turns and is silent between. It trembles at 5 Hz like speech, so that noise
 * suppression keeps it. Time 0 is when the microphone is opened.
 *
 * @param {string} path file to write, `.wav`
 * @param {{hz: number, turns: [on: number, off: number][], seconds?: number, level?: number}} options seconds
 */
export async function writeAudio(path, { hz, turns, seconds, level = 0.4 }) {
  const length = seconds ?? Math.max(...turns.map(([, off]) => off)) + 1;
  const count = Math.round(length * SAMPLE_RATE);
  const data = Buffer.alloc(44 + count * 2);
  writeWavHeader(data, count);
  for (let i = 0; i < count; i += 1) {
    const t = i / SAMPLE_RATE;
    const turn = turns.find(([on, off]) => t >= on && t < off);
    if (!turn) continue;
    const edge = Math.min(1, (t - turn[0]) / 0.005, (turn[1] - t) / 0.005);
    const tremble = 0.75 + 0.25 * Math.cos(2 * Math.PI * 5 * (t - turn[0]));
    data.writeInt16LE(Math.round(32_767 * level * edge * tremble * Math.sin(2 * Math.PI * hz * t)), 44 + i * 2);
  }
  await writeFile(path, data);
  return path;
}

function writeWavHeader(data, samples) {
  data.write("RIFF", 0);
  data.writeUInt32LE(36 + samples * 2, 4);
  data.write("WAVEfmt ", 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(SAMPLE_RATE, 24);
  data.writeUInt32LE(SAMPLE_RATE * 2, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write("data", 36);
  data.writeUInt32LE(samples * 2, 40);
}
