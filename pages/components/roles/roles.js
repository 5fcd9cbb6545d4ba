// What Streamlit's own elements lack.
// The navigation's list has sections between itself and its items, so it is no list: its links stand by themselves.
const NAVIGATION = "[data-testid='stSidebarNavItems']";
const KNOWN = "sections-folded"; // in the browser's storage of who was here before

// A newcomer finds the first section open and the one of this page, which opens whenever another page's was; keys work as the mouse.
const foldSections = () => {
  const headers = [...document.querySelectorAll("[data-testid='stNavSectionHeader']")], { section, opened } = document.body.dataset;
  if (!headers.some((header) => header.firstElementChild.textContent === section)) return;
  const newcomer = !localStorage.getItem(KNOWN);
  localStorage.setItem(KNOWN, "folded");
  document.body.dataset.opened = section;
  headers.forEach((header, at) => {
    const label = header.firstElementChild, here = label.textContent === section, isOpen = Boolean(header.nextElementSibling);
    Object.assign(label, { role: "button", tabIndex: 0, ariaExpanded: String(isOpen) });
    label.onkeydown = (event) => {
      if (!["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      header.click();
    };
    if (isOpen ? newcomer && at && !here : here && section !== opened) header.click();
  });
};

const keyOf = (element) => element.closest("[class*='st-key-']")?.className.match(/st-key-(\S+)/)[1];

// Below every figure are the same buttons: each says which figure it takes along.
const nameButtons = () => {
  for (const figure of document.querySelectorAll("[data-testid='stPlotlyChart'][aria-label]"))
    for (const kind of ["csv", "take-along"]) {
      const button = document.querySelector(`.st-key-${keyOf(figure)}-${kind} button`);
      const name = `${button?.querySelector("p")?.textContent}: ${figure.ariaLabel}`;
      if (button && button.ariaLabel !== name) button.ariaLabel = name;
    }
};

// An uploader keeps what was wrong beside the next file: a file that the browser rejects, or one that the server refused.
const forgetWrongFiles = () => {
  if (document.querySelector("[data-testid='stApp']")?.dataset.testScriptState !== "notRunning") return; // what it says is old
  for (const uploader of document.querySelectorAll("[data-testid='stFileUploader']")) {
    const refused = document.querySelector(`.st-key-${keyOf(uploader)}-refused`);
    for (const earlier of [...uploader.querySelectorAll("[data-testid='stFileChip']")].slice(0, -1))
      if (refused || earlier.querySelector("[data-testid='stFileChipIconError']"))
        earlier.querySelector("[data-testid='stFileChipDeleteBtn'] button, button[data-testid='stFileChipDeleteBtn']")?.click();
  }
};

// On a phone the sidebar lies over the page: it goes once one was chosen in it.
const uncover = ({ target }) => {
  if (innerWidth <= 768 && target.closest("[data-testid='stSidebarNavLink']"))
    document.querySelector("[data-testid='stSidebarCollapseButton'] button")?.click();
};

const mend = () => {
  for (const part of document.querySelectorAll(`${NAVIGATION}:not([role]), ${NAVIGATION} li:not([role])`))
    part.setAttribute("role", "presentation");
  for (const table of document.querySelectorAll("[data-testid='stDataFrame'], [data-testid='stTable']")) { // wider than its place?
    const plain = table.querySelector(":scope > div:has(> table)"), scrolled = plain ?? table.querySelector(".dvn-scroller");
    if (plain && plain.tabIndex < 0) plain.tabIndex = 0; // scrolls by keys too
    const more = String(Boolean(scrolled) && scrolled.scrollWidth > scrolled.clientWidth + 1);
    if (table.dataset.more !== more) table.dataset.more = more;
  }
  foldSections();
  nameButtons();
  forgetWrongFiles();
};

export default function ({ data }) {
  document.body.dataset.section = data.section;
  foldSections();
  if (document.body.dataset.rolesAreMended) return;
  document.body.dataset.rolesAreMended = "yes";
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", uncover);
  window.addEventListener("resize", () => setTimeout(mend, 200)); // once the tables have followed
  mend();
}
