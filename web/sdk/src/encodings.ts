/** The camera's encodings, lowest first as WebRTC wants them; the rates of q, h and f are the meeting's. */
export const SIMULCAST: readonly RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

/** Without simulcast: one encoding at the rate of f. */
export const SINGLE: readonly RTCRtpEncodingParameters[] = [{ maxBitrate: 1_500_000 }];

/** A shared screen: 1080p of mostly still text. */
export const SCREEN: readonly RTCRtpEncodingParameters[] = [{ maxBitrate: 2_500_000 }];

/**
 * A picture with fewer lines gets two encodings. libwebrtc sends three only from 960x540 on, and of a smaller picture it
 * drops the *highest*: a 360p camera would then be seen with 180 lines at most.
 */
export const THREE_ENCODINGS_FROM_LINES = 540;

/** What an encoding does with a picture of so many lines: q and h keep their meaning of 180 and 360 lines. */
export function encodingFor(rid: string, lines: number): { scaleResolutionDownBy: number; active: boolean } {
  const large = lines >= THREE_ENCODINGS_FROM_LINES;
  if (rid === "q") return { scaleResolutionDownBy: large ? 4 : 2, active: true };
  if (rid === "h") return { scaleResolutionDownBy: large ? 2 : 1, active: true };
  return { scaleResolutionDownBy: 1, active: large };
}

/** Fits a simulcast sender to the picture it is about to send. A sender with one encoding is left as it is. */
export async function fitEncodings(sender: RTCRtpSender, track: MediaStreamTrack): Promise<void> {
  const lines = track.getSettings().height;
  const parameters = sender.getParameters();
  if (lines === undefined || parameters.encodings.length !== SIMULCAST.length) return;
  let changed = false;
  for (const encoding of parameters.encodings) {
    const wanted = encodingFor(encoding.rid ?? "", lines);
    changed ||= encoding.active !== wanted.active || encoding.scaleResolutionDownBy !== wanted.scaleResolutionDownBy;
    Object.assign(encoding, wanted);
  }
  if (changed) await sender.setParameters(parameters);
}
