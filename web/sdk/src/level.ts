/** Quieter than this is shown as silence, dB below full scale. */
export const LEVEL_FLOOR_DB = -60;

/** Loudness of samples from -1 to 1: 0 at {@link LEVEL_FLOOR_DB} and below, 1 at full scale, in even steps of dB. */
export function loudness(samples: Float32Array): number {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  const db = 10 * Math.log10(power / Math.max(1, samples.length) + 1e-12);
  return Math.min(1, Math.max(0, 1 - db / LEVEL_FLOOR_DB));
}

/** Shows how loud a microphone is. */
export class LevelMeter {
  readonly #context = new AudioContext();
  readonly #analyser = new AnalyserNode(this.#context, { fftSize: 1_024 });
  readonly #samples = new Float32Array(this.#analyser.fftSize);

  /** Listens to a track, without playing it. */
  constructor(track: MediaStreamTrack) {
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(this.#analyser);
    this.resume();
  }

  /** Some browsers let a page listen only after a click or a key: call this then. */
  resume(): void {
    if (this.#context.state === "suspended") void this.#context.resume().catch(() => {});
  }

  /** How loud it is now, 0 to 1; see {@link loudness}. */
  level(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return loudness(this.#samples);
  }

  /** Stops listening. The track stays open. */
  close(): void {
    void this.#context.close().catch(() => {});
  }
}
