// An edge inside the page: a WebSocket that answers with a second peer connection, which loops the own voice into `audio-0` and
// the own picture into the main slot. For the page and the SDK alone; a real edge is tested elsewhere.

/**
 * Puts it into a page before it loads; `refuse` answers joins with this error message, `role` lets in as this, `waits` lets nobody
 * in before `admit`.
 */
export async function fakeEdge(page, { refuse, role = "panelist", waits = false } = {}) {
  await page.addInitScript(install, { refuse, role, waits });
}

/** Lets in who waits. */
export async function admit(page) {
  await page.evaluate(() => window.__edge.admit());
}

/** An invitation that grants these, with a signature that nobody checks here. */
export function invitation(grants) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "EdDSA" })}.${part({ grants: { publish: true, subscribe: true, chat: true, host: false, ...grants } })}.sig`;
}

/** What the page sent, by type. */
export function sent(page, type) {
  return page.evaluate((t) => window.__edge.sent.filter((message) => message.type === t), type);
}

/** Sends a message to the page. */
export async function tell(page, message) {
  await page.evaluate((m) => window.__edge.tell(m), message);
}

/** Runs in the page. */
function install({ refuse, role: ownRole, waits }) {
  const edge = { sent: [], sockets: [], refuse, tell: (message) => edge.sockets.at(-1).tell(message) };
  window.__edge = edge;
  let nextId = 0x100001;

  /** A browser does not answer simulcast; an edge does. */
  function acceptSimulcast(answer, offer, publish) {
    if (!offer.includes("a=simulcast:send")) return answer;
    const camera = publish.find(({ kind }) => kind === "camera").mid;
    const accepted = "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n";
    return answer
      .split(/(?=^m=)/m)
      .map((part) => (part.includes(`a=mid:${camera}\r\n`) ? part + accepted : part))
      .join("");
  }

  class FakeSocket {
    constructor(url) {
      this.url = url;
      edge.sockets.push(this);
      setTimeout(() => this.onopen?.(new Event("open")), 5);
    }
    send(data) {
      const message = JSON.parse(data);
      edge.sent.push(message);
      void this.handle(message);
    }
    close() {
      this.pc?.close();
    }
    /** The network goes away. */
    drop() {
      this.onclose?.(new CloseEvent("close", { code: 1006 }));
    }
    tell(message) {
      this.onmessage?.(new MessageEvent("message", { data: JSON.stringify(message) }));
    }
    async handle(message) {
      if (message.type === "ping") this.tell({ type: "pong", id: message.id });
      if (message.type === "chat") this.place(message);
      if (message.type === "host") this.tell({ type: "done", key: message.key });
      if (message.type === "join" && edge.refuse) this.tell(edge.refuse);
      else if (message.type === "join" && waits) {
        edge.admit = () => this.join(message);
        this.tell({ type: "waiting" });
      }
      else if (message.type === "join") await this.join(message);
      if (message.type === "renegotiate") this.tell({ type: "renegotiated", ...(await this.answer(message)) });
    }
    place({ key, to, text }) {
      const from = nextId - 1;
      this.tell({ type: "chat", messages: [{ key, atMs: Date.now(), from, name: "Grace", text, ...(to === undefined ? {} : { to }) }] });
    }
    async join(message) {
      this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
      const answer = await this.answer(message);
      const participant = nextId++;
      const place = { meeting: "0a1b2c3d4e5fg", region: "eu-west", node: "edge-1" };
      this.tell({ type: "joined", version: 1, participant, role: ownRole, owner: ownRole === "host", ...place, ...answer });
      const member = (id, name, role) => ({ id, name, edge: 1, micMuted: false, cameraOff: false, role });
      const put = [member(participant, message.name, ownRole), member(7, "Ada Lovelace", "panelist")];
      this.tell({ type: "roster", seq: 1, snapshot: true, put, removed: [] });
      this.tell({ type: "settings", locked: false, waitingRoom: false, chatLocked: false, pinnedShare: null });
      this.tell({ type: "floor", main: 7, recent: [7] });
      const lines = answer.slots.filter((slot, i, all) => all.findIndex((s) => s.role === slot.role) === i);
      this.tell({ type: "slots", slots: lines.filter((l) => l.role === "main" || l.role === "audio").map((l) => ({ mid: l.mid, participant: 7, rid: "f" })) });
    }
    async answer({ sdp: sdp0, publish }) {
      await this.pc.setRemoteDescription({ type: "offer", sdp: sdp0 });
      const own = new Set(publish.map((line) => line.mid));
      const lines = this.pc.getTransceivers().filter((t) => t.mid !== null);
      const free = lines.filter((t) => !own.has(t.mid));
      const audio = free.filter((t) => t.receiver.track.kind === "audio");
      const video = free.filter((t) => t.receiver.track.kind === "video");
      for (const t of free) t.direction = "sendonly";
      for (const { mid, kind } of publish) {
        const track = lines.find((t) => t.mid === mid).receiver.track;
        if (kind === "mic") await audio[0].sender.replaceTrack(track);
        if (kind === "camera") await video[0].sender.replaceTrack(track);
      }
      await this.pc.setLocalDescription();
      await new Promise((done) => {
        if (this.pc.iceGatheringState === "complete") done();
        this.pc.addEventListener("icegatheringstatechange", () => this.pc.iceGatheringState === "complete" && done());
      });
      const sdp = acceptSimulcast(this.pc.localDescription.sdp, sdp0, publish);
      const role = (i) => (i === 0 ? "main" : i === video.length - 1 ? "screen" : "strip");
      const slots = [...audio.map((t) => ({ mid: t.mid, role: "audio" })), ...video.map((t, i) => ({ mid: t.mid, role: role(i) }))];
      return { sdp, slots };
    }
  }
  window.WebSocket = FakeSocket;
}
