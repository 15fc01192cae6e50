// A camera whose frames the kernel paints. One frame is under way at a time: the next one leaves when an answer has come,
// so that a slow kernel means fewer frames, not later ones. The camera is released when painting stops, for whatever reason.

const PATIENCE = 10_000; // milliseconds without an answer until the kernel is taken for dead
const QUALITY = 0.85; // of the JPEG that goes to the kernel
const KEPT = 1000; // latencies from which the percentiles are taken
const LINK_ENDED = "The link to the kernel has ended, and the camera is released. Run the cell again.";
const RECORD = "Record 10 s";
const SIZES = ["640x480", "480x360", "320x240"];
const WHY_NOT = {
  NotAllowedError: "The browser may not use the camera. Allow it (by the camera sign in the address bar, or in the "
    + "system's settings), then press Start.",
  NotFoundError: "No camera was found. Plug one in, then press Start.",
  NotReadableError: "The camera is there, but another program seems to use it. Close that, then press Start.",
};
const PAINTING = "Painting. Frames go to the kernel and back, and are not kept.";
const INSECURE = "Browsers lend the camera only to pages of this computer (http://localhost) or of an encrypted address "
  + "(https). Open this page at such an address.";

function element(kind, properties = {}, children = []) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] : 0;
}

const mean = (before, now) => (before ? 0.8 * before + 0.2 * now : now);

// What the reader sees: buttons, the painted picture with the camera's own in its corner, two lines of text.
function build(el, model) {
  const view = {
    start: element("button", { type: "button", textContent: "Start camera", className: "nst-main" }),
    snapshot: element("button", { type: "button", textContent: "Snapshot", disabled: true, title: "save the picture" }),
    clip: element("button", { type: "button", textContent: RECORD, disabled: true, title: "save a film" }),
    size: element("select", {}, SIZES.map((name) => element("option", { value: name, textContent: name.replace("x", " x ") }))),
    corner: element("input", { type: "checkbox", checked: true }),
    canvas: element("canvas", { width: 640, height: 480 }),
    video: element("video", { muted: true, playsInline: true, autoplay: true, className: "nst-corner", hidden: true }),
    counters: element("p", { className: "nst-counters" }),
    status: element("p", { className: "nst-status" }),
  };
  view.canvas.setAttribute("role", "img");
  view.canvas.setAttribute("aria-label", "what the camera sees, painted");
  view.video.setAttribute("aria-label", "what the camera sees");
  view.status.setAttribute("role", "status");
  view.size.value = model.get("size");
  el.classList.add("nst-webcam");
  el.append(
    element("div", { className: "nst-bar" }, [
      view.start, view.snapshot, view.clip,
      element("label", {}, ["Frames", view.size]),
      element("label", {}, [view.corner, "camera in the corner"]),
    ]),
    element("div", { className: "nst-stage" }, [view.canvas, view.video]),
    view.counters,
    view.status,
  );
  return view;
}

function render({ model, el }) {
  const name = crypto.getRandomValues(new Uint32Array(2)).join("-"); // which of several views a message is about
  const view = build(el, model);
  const paper = view.canvas.getContext("2d");
  const sent = document.createElement("canvas"); // the frame as it goes to the kernel
  const pen = sent.getContext("2d", { willReadFrequently: true });
  let run = null; // what is known of the camera since the last Start; null while it is off

  const say = (text) => {
    view.status.textContent = text;
    model.set("said", text);
    model.save_changes();
  };

  async function start() {
    if (!window.isSecureContext || !navigator.mediaDevices) return say(INSECURE);
    const mine = (run = {
      stream: null, begun: 0, number: 0, frames: 0, times: [], latencies: [], kernel: [],
      taking: false, ready: null, waiting: null, // where a frame is: being taken, ready to be sent, with the kernel
      preparing: 10, answering: 0, // milliseconds, running means
      recorded: 0, // when the film that is being recorded will be complete; 0 without one
    });
    view.start.textContent = "Stop";
    say("Asking the browser for the camera ...");
    const [width, height] = model.get("size").split("x").map(Number);
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        { audio: false, video: { width: { ideal: width }, height: { ideal: height }, facingMode: "user" } },
      );
      if (run !== mine) return stream.getTracks().forEach((track) => track.stop()); // stopped while the reader was asked
      run.stream = stream;
    } catch (problem) {
      if (run === mine) stop(WHY_NOT[problem.name] ?? `The camera cannot be used: ${problem.message || problem.name}.`);
      return;
    }
    run.stream.getVideoTracks()[0].addEventListener("ended", () => run === mine && stop("The camera has gone. It may have been unplugged."));
    Object.assign(sent, { width, height });
    Object.assign(view.canvas, { width, height });
    view.video.srcObject = run.stream;
    view.video.hidden = !view.corner.checked;
    view.video.play().catch(() => {}); // stopped before it began
    mine.begun = performance.now();
    mine.clock = setInterval(count, 1000);
    take(mine);
    say(PAINTING);
  }

  // Takes the camera's next frame, so that it is ready when the answer to the one before comes.
  async function take(mine) {
    clearTimeout(mine.soon);
    if (run !== mine || mine.taking || mine.ready) return;
    mine.taking = true;
    const wanted = performance.now();
    await new Promise((shown) => view.video.requestVideoFrameCallback?.(shown) ?? setTimeout(shown, 33));
    if (run !== mine) return;
    const { width, height } = sent;
    const scale = Math.max(width / view.video.videoWidth, height / view.video.videoHeight); // what does not fit is cut off
    const [w, h] = [scale * view.video.videoWidth, scale * view.video.videoHeight];
    pen.setTransform(-1, 0, 0, 1, width, 0); // a mirror: that is how one knows oneself
    const captured = performance.now();
    pen.drawImage(view.video, (width - w) / 2, (height - h) / 2, w, h);
    const file = await new Promise((done) => sent.toBlob(done, "image/jpeg", QUALITY));
    mine.ready = { captured, bytes: await file.arrayBuffer() };
    mine.taking = false;
    mine.preparing = mean(mine.preparing, performance.now() - wanted);
    if (!mine.waiting) dispatch(mine);
  }

  // Sends the frame that is ready, and has the next one taken about when the answer is expected.
  function dispatch(mine) {
    if (run !== mine || !mine.ready) return;
    const { captured, bytes } = mine.ready;
    mine.ready = null;
    mine.waiting = { id: (mine.number += 1), captured, sent: performance.now() };
    mine.lost = setTimeout(() => stop(
      `The kernel has not answered for ${PATIENCE / 1000} seconds, so the camera is released. It may have died, or be busy `
      + "with another cell. Start again when it is back."), PATIENCE);
    mine.soon = setTimeout(() => take(mine), mine.answering - mine.preparing);
    tell({ kind: "frame", view: name, id: mine.waiting.id }, [bytes]);
  }

  async function received(content, buffers) {
    const mine = run;
    if (content.view !== name || !mine) return;
    if (content.kind === "recording") return record(mine, content.seconds);
    if (content.kind === "failed") return stop("Painting failed, and the camera is released; the reason is below.");
    if (content.kind !== "painted" || content.id !== mine.waiting?.id) return;
    const { captured, sent: when } = mine.waiting;
    mine.waiting = null;
    clearTimeout(mine.lost);
    mine.answering = mean(mine.answering, performance.now() - when);
    if (mine.ready) dispatch(mine); // it is on its way while this one is drawn
    else take(mine);
    const picture = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
    if (run !== mine) return;
    paper.drawImage(picture, 0, 0);
    picture.close();
    const now = performance.now();
    mine.latencies[mine.frames % KEPT] = now - captured;
    mine.kernel[mine.frames % KEPT] = content.milliseconds;
    mine.frames += 1;
    mine.times = [...mine.times.filter((time) => time > now - 2000), now];
    view.snapshot.disabled = false;
    view.clip.disabled = Boolean(mine.recorded);
  }

  function record(mine, seconds) {
    mine.recorded = seconds && performance.now() + 1000 * seconds;
    view.clip.disabled = true; // until the next frame
    showLeft();
    say(seconds ? `Recording ${seconds} seconds, into a film that is kept.` : PAINTING);
  }

  function showLeft() {
    const seconds = run?.recorded && Math.max(0, Math.ceil((run.recorded - performance.now()) / 1000));
    view.clip.textContent = run?.recorded ? `Recording: ${seconds} s` : RECORD;
  }

  function count() {
    if (view.canvas.checkVisibility?.() === false) { // on a tab that is not the open one
      return stop("Off: the panel was hidden, so the camera is released.");
    }
    showLeft();
    if (!run.frames) return;
    const { frames, times, latencies } = run;
    const seen = view.video.getVideoPlaybackQuality().totalVideoFrames;
    const seconds = (performance.now() - run.begun) / 1000;
    const recent = times.length > 1 ? (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]) : 0;
    const [p50, p95] = [0.5, 0.95].map((share) => percentile(latencies, share));
    const kernel = percentile(run.kernel, 0.5);
    view.counters.textContent = `${recent.toFixed(0)} frames a second; from camera to painting ${p50.toFixed(0)} ms (the kernel took `
      + `${kernel.toFixed(0)}), at most ${p95.toFixed(0)} ms for 95 of 100; ${Math.max(0, seen - frames)} of ${seen} frames left out`;
    model.set("counters", { frames, seen, seconds, fps: frames / seconds, recent, p50, p95, kernel });
    model.save_changes();
  }

  function stop(why) {
    const mine = run;
    run = null;
    if (!mine) return;
    mine.stream?.getTracks().forEach((track) => track.stop());
    clearTimeout(mine.lost);
    clearTimeout(mine.soon);
    clearInterval(mine.clock);
    view.video.srcObject = null;
    view.video.hidden = true;
    view.start.textContent = "Start camera";
    showLeft();
    view.snapshot.disabled = view.clip.disabled = true;
    tell({ kind: "stop", view: name });
    if (why) say(why);
  }

  function tell(content, buffers = []) {
    try {
      model.send(content, undefined, buffers);
    } catch {
      // the link has ended, and `lose` says so
    }
  }

  const lose = () => { // the kernel was restarted, or the panel closed
    stop();
    view.status.textContent = LINK_ENDED;
    view.start.disabled = true;
  };
  const resize = () => {
    view.size.value = model.get("size");
    if (run?.stream) { stop(); start(); }
  };
  view.start.addEventListener("click", () => (run ? stop("Off; the camera is released.") : start()));
  view.snapshot.addEventListener("click", () => tell({ kind: "snapshot", view: name }));
  view.clip.addEventListener("click", () => tell({ kind: "clip", view: name }));
  view.corner.addEventListener("change", () => { view.video.hidden = !view.corner.checked || !run; });
  view.size.addEventListener("change", () => { model.set("size", view.size.value); model.save_changes(); });
  model.on("msg:custom", received);
  model.on("change:size", resize);
  model.on("comm_live_update", lose);
  model.on("comm:close", lose);
  view.status.textContent = "Off. Start asks the browser for the camera.";
  return () => { // the output was cleared, the cell run again, or the notebook closed
    stop();
    model.off("msg:custom", received);
    model.off("change:size", resize);
    model.off("comm_live_update", lose);
    model.off("comm:close", lose);
  };
}

export default { render };
