// Sends what the page's camera and microphone give through two peer connections of one page. Runs in the page.
export async function loopback(page) {
  await page.evaluate(async () => {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain, video: true });
    const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
    from.onicecandidate = ({ candidate }) => candidate && to.addIceCandidate(candidate);
    to.onicecandidate = ({ candidate }) => candidate && from.addIceCandidate(candidate);
    to.ontrack = ({ track, streams }) => {
      const element = document.createElement(track.kind);
      Object.assign(element, { srcObject: streams[0], autoplay: true, muted: track.kind === "video", id: `got-${track.kind}` });
      document.body.append(element);
    };
    for (const track of stream.getTracks()) from.addTrack(track, stream);
    await from.setLocalDescription();
    await to.setRemoteDescription(from.localDescription);
    await to.setLocalDescription();
    await from.setRemoteDescription(to.localDescription);
    window.loop = { from, to };
  });
}
