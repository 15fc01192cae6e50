// A mood board's page. Press a picture, and it is shown large; press beside them, and the page is.

function element(kind, properties = {}, children = []) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function address(bytes) {
  return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
}

function render({ model, el }) {
  const page = element("img");
  const whole = element("button", { type: "button", className: "nst-whole", title: "enlarge the page" }, [page]);
  const pictures = element("div");
  const large = element("img");
  const close = element("button", { type: "button", textContent: "Close" });
  const dialog = element("dialog", {}, [close, large]);
  dialog.setAttribute("aria-label", "enlarged");
  el.classList.add("nst-board");
  el.append(element("div", { className: "nst-page" }, [whole, pictures]), dialog);

  function open(source, alt) {
    if (large.src !== page.src) URL.revokeObjectURL(large.src);
    Object.assign(large, { src: source, alt });
    if (!dialog.open) dialog.showModal();
  }
  function show() {
    const data = model.get("page");
    whole.hidden = !data?.byteLength;
    if (whole.hidden) return;
    if (page.src) URL.revokeObjectURL(page.src);
    page.src = address(data);
    page.alt = model.get("alt");
    pictures.replaceChildren(...model.get("boxes").map(([left, top, width, height], index) => {
      const button = element("button", { type: "button", title: `enlarge picture ${index + 1}` });
      Object.assign(button.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * width}%`, height: `${100 * height}%` });
      button.setAttribute("aria-label", `enlarge picture ${index + 1}`);
      button.addEventListener("click", () => model.send({ picture: index }));
      return button;
    }));
  }
  const received = (content, buffers) => open(address(buffers[0]), `picture ${content.picture + 1}`);
  whole.addEventListener("click", () => open(page.src, page.alt));
  close.addEventListener("click", () => dialog.close());
  large.addEventListener("click", () => dialog.close());
  model.on("change:page", show);
  model.on("msg:custom", received);
  show();
  return () => {
    dialog.close();
    model.off("change:page", show);
    model.off("msg:custom", received);
    for (const picture of [page, large]) URL.revokeObjectURL(picture.src);
  };
}

export default { render };
