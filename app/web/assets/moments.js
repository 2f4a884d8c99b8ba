// Opens the browser's own calendar for a time that can also be typed, and puts what is picked into the text.
"use strict";
(() => {
  const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;

  const tell = (field, text) => {
    field.focus();
    setValue.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.blur(); // it is sent when it loses the focus
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".pick");
    if (!button) return;
    const field = button.closest(".moment").querySelector("input");
    let picker = button.parentElement.querySelector(".picker");
    if (!picker) {
      picker = Object.assign(document.createElement("input"), { type: "datetime-local", step: 1, tabIndex: -1, className: "picker" });
      picker.setAttribute("aria-hidden", "true");
      picker.addEventListener("change", () => picker.value && tell(field, picker.value.replace("T", " ")));
      button.after(picker);
    }
    picker.value = field.value.replace(" ", "T");
    picker.showPicker();
  });
})();
