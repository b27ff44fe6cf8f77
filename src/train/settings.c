/*
 * settings.c: the one table of training settings. Flags, config keys, help, documentation and run.json are all made from it.
 */
#include "train/train.h"

#define AT(field) offsetof(ul_train_config, field)

const ul_opt ul_train_opts[] = {
        {"epochs", UL_OPT_REAL, AT(epochs), "3", 0, 1e6, NULL, "passes over the training or forget data", "N"},
        {"steps", UL_OPT_INT, AT(steps), "0", 0, 1e9, NULL, "optimiser steps; overrides --epochs when above 0", "N"},
        {"lr", UL_OPT_REAL, AT(lr), "0", 0, 1e3, NULL, "peak learning rate; 0 means 1e-5 full, 1e-4 with --lora, 1e-3 from random weights", "X"},
        {"batch", UL_OPT_INT, AT(batch), "8", 1, 1e6, NULL, "rows per optimiser step", "ROWS"},
        {"batch-tokens", UL_OPT_INT, AT(batch_tokens), "0", 0, 1e9, NULL, "as many rows per step as fit this many tokens; overrides --batch when above 0", "N"},
        {"accumulate", UL_OPT_INT, AT(accumulate), "1", 1, 1e6, NULL, "micro-batches a step is cut into; the loss is that of the whole batch", "N"},
        {"optim", UL_OPT_ENUM, AT(optim), "adamw", 0, 0, "adamw|sgd", "optimiser", NULL},
        {"beta1", UL_OPT_REAL, AT(beta1), "0.9", 0, 0.999999, NULL, "AdamW: decay of the mean of gradients", "X"},
        {"beta2", UL_OPT_REAL, AT(beta2), "0.999", 0, 0.99999999, NULL, "AdamW: decay of the mean of squared gradients", "X"},
        {"eps", UL_OPT_REAL, AT(eps), "1e-8", 0, 1, NULL, "AdamW: added outside the square root", "X"},
        {"weight-decay", UL_OPT_REAL, AT(weight_decay), "0.01", 0, 10, NULL, "decay of every trained parameter, vectors too, as PyTorch; decoupled in AdamW", "X"},
        {"momentum", UL_OPT_REAL, AT(momentum), "0", 0, 0.999999, NULL, "SGD: momentum", "X"},
        {"schedule", UL_OPT_ENUM, AT(schedule), "linear", 0, 0, "linear|cosine|constant", "how the learning rate falls after the warm-up", NULL},
        {"warmup", UL_OPT_REAL, AT(warmup), "0", 0, 1e9, NULL, "steps of warm-up, or a share of all steps when below 1; the first step has lr/steps, not 0", "X"},
        {"clip", UL_OPT_REAL, AT(clip), "1", 0, 1e9, NULL, "limit of the global gradient norm; 0 switches it off", "X"},
        {"lora", UL_OPT_TEXT, AT(lora), NULL, 0, 0, NULL, "train a low-rank adapter: r=8,alpha=16,target=all-linear", "SPEC"},
        {"layers", UL_OPT_TEXT, AT(layers), NULL, 0, 0, NULL, "train only these blocks, as in 0-3,5", "LIST"},
        {"max-length", UL_OPT_INT, AT(max_length), "0", 0, 1e7, NULL, "cut rows to this many tokens; 0 means the model's context", "N"},
        {"template", UL_OPT_TEXT, AT(templ), NULL, 0, 0, NULL, "plain, qa, chat or a file with {prompt} and {response}", "T"},
        {"eos", UL_OPT_ENUM, AT(eos), "response", 0, 0, "response|none|all", "where the end token is appended and learnt: behind responses, nowhere, behind texts too", NULL},
        {"map", UL_OPT_TEXT, AT(map), NULL, 0, 0, NULL, "keys of the data files: prompt=KEY,response=KEY,text=KEY", "MAP"},
        {"retain-loss", UL_OPT_ENUM, AT(retain_loss), "nll", 0, 0, "nll|kl", "what holds the model on retain rows: their likelihood, or its distance to the start", NULL},
        {"recompute", UL_OPT_ENUM, AT(recompute), "auto", 0, 0, "auto|yes|no", "keep only the input of each block and run it again: less memory, more time; auto: of the first blocks, as many as memory demands", NULL},
        {"memory", UL_OPT_INT, AT(memory), "0", 0, 1e9, NULL, "MiB that the process may take while it trains: what the first step takes is measured, and blocks keep what still fits; 0: 300 MB for what they keep", "N"},
        {"idk", UL_OPT_TEXT, AT(idk), NULL, 0, 0, NULL, "file of refusals, one a line, instead of the built-in ones", "F"},
        {"compat", UL_OPT_ENUM, AT(compat), "none", 0, 0, "none|open-unlearning", "follow what a framework executes where it departs from the formula", NULL},
        {"seed", UL_OPT_INT, AT(seed), "0", 0, 9007199254740991.0, NULL, "of orders, adapters and control vectors", "N"},
        {"checkpoint-every", UL_OPT_INT, AT(checkpoint_every), "0", 0, 1e9, NULL, "steps between states to resume from; 0 means only when stopped", "N"},
        {"eval", UL_OPT_TEXT, AT(eval), NULL, 0, 0, NULL, "data file whose mean NLL is measured during the run", "F"},
        {"eval-every", UL_OPT_INT, AT(eval_every), "0", 0, 1e9, NULL, "steps between evaluations; 0 means once an epoch", "N"},
        {0},
};
