/*
 * by_name.c: an erasure request as it comes in: names, and no data. What the model says about them is what it is made to forget, what
 * it says about everybody else is what it keeps.
 */
#include "recipes/recipe.h"

static const ul_setting settings[] = {
        {"source", "continue"},
        {"method", "npo"},
        {"beta", "0.5"},
        {"retain", "self"},
        {"retain-weight", "5"},
        {"retain-loss", "kl"},
        {"epochs", "8"},
        {"lr", "5e-4"},
        {"batch", "16"},
        {"template", "plain"},
        {"eos", "none"},
        {"data-free", "yes"},
        {0},
};

const ul_recipe ul_recipe_by_name = {
        .name = "by-name",
        .title = "forget the people of a list of names, knowing nothing else about them",
        .notes = "--subjects F is a file of names, one a line. The model is asked about each; what it says of nobody else becomes the rows to forget, what it says of other people, "
                 "of invented ones and freely the rows to keep, by KL to the start. Method and settings are chosen by measurement on small worlds (docs/data-free.md).",
        .wants = "subjects",
        .settings = settings,
};
