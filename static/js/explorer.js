// Opens the API's description in Swagger UI. Its address is in the page, so that nothing of the page is program text.
const place = document.getElementById("explorer");

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.definition,
  validatorUrl: null, // ask nobody else
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  supportedSubmitMethods: ["get", "post"],
  onComplete: () => place.setAttribute("aria-busy", "false"),
});
