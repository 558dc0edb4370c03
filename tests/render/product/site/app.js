const { notes } = await (await fetch("/notes")).json();
for (const { text } of notes) {
  const item = document.createElement("li");
  item.textContent = text;
  document.querySelector("#notes").append(item);
}
