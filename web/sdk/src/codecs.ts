/** A codec as the browser describes it (`RTCRtpCodec`). */
type Codec = Pick<RTCRtpCodec, "mimeType" | "sdpFmtpLine">;

/** What a meeting uses by default. In this order: the first one the browser knows is what it sends. */
export const AUDIO_CODECS = ["audio/opus", "audio/red"] as const;
/** VP8 with its repair stream. `rtx` has no meaning alone, so it stands behind. */
export const VIDEO_CODECS = ["video/vp8", "video/rtx"] as const;

/**
 * Keeps the wanted codecs, in the wanted order. An offer of 20 lines is then 27 KB instead of 84 KB.
 * Without any match everything is kept: better a long offer than none.
 */
export function preferred<C extends Codec>(known: readonly C[], wanted: readonly string[]): C[] {
  const kept = wanted.flatMap((name) => known.filter((codec) => codec.mimeType.toLowerCase() === name));
  const media = kept.some((codec) => !/\/(rtx|red|ulpfec)$/i.test(codec.mimeType));
  return media ? kept : [...known];
}

/** Restricts a transceiver to the meeting's codecs and asks for the extensions the edge uses where the browser lets us. */
export function restrict(transceiver: RTCRtpTransceiver, kind: "audio" | "video"): void {
  const known = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  transceiver.setCodecPreferences(preferred(known, kind === "audio" ? AUDIO_CODECS : VIDEO_CODECS));
  negotiateCaptureTime(transceiver as HeaderExtensionControl);
}

/**
 * A camera starts at this rate, kbit/s. The browser alone starts at 300, from where it sends 720p as 180 lines and takes half
 * a minute to climb; on a narrower path it is down again within a second.
 */
export const START_KBPS = 800;

/** The edge's answer with a rate to start at, for the pictures that it receives. */
export function withStartRate(answer: string, kbps: number = START_KBPS): string {
  const sections = answer.split(/(?=^m=)/m);
  return sections.map((section) => (/^m=video[^]*^a=recvonly/m.test(section) ? startingAt(section, kbps) : section)).join("");
}

function startingAt(section: string, kbps: number): string {
  return section.replace(/^a=rtpmap:(\d+) vp8\/90000\r?\n/gim, (line, type: string) => {
    return `${line}a=fmtp:${type} x-google-start-bitrate=${kbps}\r\n`;
  });
}

/** When a frame was captured, so that lip sync can be measured and equalised across hops. */
const CAPTURE_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

interface HeaderExtension {
  uri: string;
  direction: RTCRtpTransceiverDirection;
}

/** Chromium's control over header extensions; not in the DOM types yet. */
interface HeaderExtensionControl {
  getHeaderExtensionsToNegotiate?(): HeaderExtension[];
  setHeaderExtensionsToNegotiate?(extensions: HeaderExtension[]): void;
}

function negotiateCaptureTime(transceiver: HeaderExtensionControl): void {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.();
  if (!extensions || !transceiver.setHeaderExtensionsToNegotiate) return;
  for (const extension of extensions) {
    if (extension.uri === CAPTURE_TIME_URI) extension.direction = "sendrecv";
  }
  transceiver.setHeaderExtensionsToNegotiate(extensions);
}
