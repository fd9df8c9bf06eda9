"use strict";
// A file of its own: the page's policy lets no script within the markup run.
window.SwaggerUIBundle({
  url: "/api-docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  // Tokens stay in memory: nothing that another page could read later.
  persistAuthorization: false,
  validatorUrl: null,
  // Requests that the session's cookie is sent with need it.
  requestInterceptor: (request) => {
    request.headers["X-VCP-CSRF"] = "1";
    return request;
  },
});
