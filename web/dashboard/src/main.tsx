import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Entry } from "./entry";
import "./style.css";
import "./controls.css"; // after it: the phone has the last word

const place = document.getElementById("app");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <Entry />
    </StrictMode>,
  );
}
